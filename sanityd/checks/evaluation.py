"""Evaluates checks: their result, and what became of violations that were open before."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from sanityd.checks.counts import SharedCounts
from sanityd.checks.findings import Evaluation
from sanityd.checks.plan import PlannedCheck
from sanityd.checks.resolutions import resolutions_of
from sanityd.checks.table_contents import TableContents
from sanityd.errors import CheckError
from sanityd.model import Key, Value, Violation

_NO_ROWS = Violation({"fault": "no rows in scope"}, detail="there are no rows in scope", rows=0)


def evaluate_check(
    planned: PlannedCheck, open_keys: Mapping[str, Key], counts: SharedCounts | None = None
) -> Evaluation:
    """The result of one check.

    Parameters: `open_keys` are its open violations by fingerprint; `counts` counts its rows.
    Raises CheckError when it can't be evaluated, SourceError when the source is lost.
    """
    if is_trusted(planned, open_keys):
        return _finished(planned, _of_proof(planned), open_keys)
    evaluation = None
    if planned.new_rows is not None:
        evaluation = planned.form.evaluate_new_rows(planned, open_keys, TableContents())
    if evaluation is None:
        evaluation = planned.form.evaluate(planned, counts or SharedCounts([planned]))
    return _finished(planned, evaluation, open_keys)


def evaluate_together(
    planned_checks: Sequence[PlannedCheck],
    open_keys: Mapping[str, Mapping[str, Key]],
    counts: SharedCounts | None,
) -> Iterator[tuple[PlannedCheck, Evaluation | CheckError]]:
    """The results of checks that share statements, in order.

    Parameters: `open_keys` are the open violations of each rule.
    Raises SourceError when the source is lost.
    """
    form = planned_checks[0].form
    for planned, result in form.evaluate_together(planned_checks, open_keys, counts):
        if isinstance(result, CheckError):
            yield planned, result
            continue
        try:
            yield planned, _finished(planned, result, open_keys.get(planned.rule, {}))
        except CheckError as error:
            yield planned, error


def is_trusted(planned: PlannedCheck, open_keys: Mapping[str, Key]) -> bool:
    """Whether the rows need not be read, as a constraint or an unchanged state proves the rule.

    Rows are read in any case while violations are open: only that tells what became of them.
    """
    is_proved = planned.proof is not None or planned.unchanged is not None
    return is_proved and not planned.audited and not open_keys


def _of_proof(planned: PlannedCheck) -> Evaluation:
    """The result where rows are not read, except for whether there are any.

    A table that was emptied keeps all its constraints.
    """
    unchanged = planned.unchanged
    if unchanged is not None:
        proof = f"no write since {unchanged.at:%Y-%m-%d %H:%M} UTC"
        return Evaluation(0, 0, unchanged.checked, (), proved_by=proof)
    checked = None if TableContents().has_rows(planned.scope) else 0
    return Evaluation(0, 0, checked, (), proved_by=planned.proof)


def _declared(planned: PlannedCheck, violation: Violation) -> dict[str, Value]:
    """The shown values without those that `show` doesn't name, as the group of a sequence."""
    names = planned.invariant.subject.show
    return {name: value for name, value in violation.shown.items() if name in names}


def _finished(
    planned: PlannedCheck, evaluation: Evaluation, open_keys: Mapping[str, Key]
) -> Evaluation:
    """The result with redacted keys, a violation for no rows at all, and the resolutions."""
    redaction = planned.invariant.redaction
    if redaction is not None:
        # Here, so that nothing that comes after the evaluation ever has a key in clear.
        redacted: list[Violation] = []
        for violation in evaluation.tracked:
            shown = _declared(planned, violation)
            redacted.append(replace(redaction.violation(violation), shown=shown))
        evaluation = replace(evaluation, tracked=tuple(redacted))
    is_empty = evaluation.checked == 0 and not evaluation.violations
    # Where the rule doesn't say (None), aggregates have judged this themselves.
    if is_empty and planned.invariant.subject.empty_fails:
        evaluation = replace(evaluation, violations=1, tracked=(*evaluation.tracked, _NO_ROWS))
    if open_keys and redaction is None:
        # A redacted row can't be looked for: all that is known is that it isn't found any more.
        resolutions = resolutions_of(planned, evaluation, open_keys)
        evaluation = replace(evaluation, resolutions=resolutions)
    return evaluation
