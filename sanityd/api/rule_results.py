"""Results of a pass as the Python interface returns them."""

from collections.abc import Iterable

from sanityd.api.results import RuleResult, ViolatingRow
from sanityd.pipeline import Result

#: The most violations of a rule in `sample`.
SAMPLE = 20


def rule_results(results: Iterable[Result]) -> tuple[RuleResult, ...]:
    """Return the results, in their order."""
    return tuple(_rule_result(result) for result in results)


def _rule_result(result: Result) -> RuleResult:
    run, incident = result.run, result.incident
    sentence = result.rule.sentence(run) if run.answered else run.error or ""
    is_open = incident is not None and incident.open
    return RuleResult(
        rule=run.rule,
        outcome=run.verdict,
        violations=run.violations,
        rows=run.rows,
        checked=run.checked,
        severity=result.severity.label if result.severity is not None else "",
        sentence=sentence,
        sample=_sample(result),
        proved_by=run.proved_by,
        incident=incident.id if incident is not None and is_open else None,
        seconds=run.seconds,
    )


def _sample(result: Result) -> tuple[ViolatingRow, ...]:
    run = result.run
    return tuple(
        ViolatingRow(run.rule, dict(violation.key), dict(violation.shown), violation.detail, run.at)
        for violation in run.tracked[:SAMPLE]
    )
