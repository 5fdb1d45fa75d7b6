"""Formats the result of `check` as text for people."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import IO

from rich.text import Text

from sanityd.alerts.compose.sanitize import display_value
from sanityd.cli import terminal
from sanityd.cli.local_time import local_time, zone_name
from sanityd.cli.reports import CheckReport
from sanityd.cli.terminal import plural
from sanityd.daemon.health import liveness_problem
from sanityd.model import Run, Severity
from sanityd.model.identical_rows import count_repeated, repeated_rows_note
from sanityd.pipeline import Result

#: How many keys of a rule, rules that hold, and removed rules are listed one by one.
KEYS, HOLDING, REMOVED = 3, 3, 10

#: A row of cells, or a text that spans all columns.
Line = list[Text] | Text


def write(report: CheckReport, out: IO[str]) -> None:
    """Write the heading, a line or two for each rule, and a summary."""
    console = terminal.console(out)
    time = f"{local_time(report.at):%H:%M:%S} {zone_name()}"
    console.print(Text(_heading(report), style="bold"), time, sep="   ")
    console.print()
    for line in terminal.aligned(_report_lines(report)):
        console.print(line, soft_wrap=True)
    console.print()
    console.print(_summary(report))
    problem = liveness_problem(report.daemon, report.at)
    if problem:
        console.print(terminal.signed(terminal.UNKNOWN, f"sanityd serve: {problem}"))
    if report.code:
        console.print(f"exit {report.code}: {_exit_reason(report)}")


def _heading(report: CheckReport) -> str:
    sources = set()
    for result in report.results:
        sources.add(result.rule.source)
        if result.rule.invariant.elsewhere is not None:
            sources.add(result.rule.invariant.elsewhere)
    rule_count = len(report.results)
    rules = f"{rule_count} {plural(rule_count, 'rule')}"
    amount = f"{rules} · {len(sources)} {plural(len(sources), 'source')}"
    return f"sanityd check · {report.rules.path} · {amount}"


def _report_lines(report: CheckReport) -> list[Line]:
    holding = [result for result in report.results if _holds(result.run)]
    others = [result for result in report.results if not _holds(result.run)]
    lines = list(_problem_lines(others, report.at))
    if len(holding) <= HOLDING:
        lines += [_line(result, Text(_rows_checked([result]))) for result in holding]
    else:
        more = "more " if lines else ""
        words = f"{len(holding)} {more}rules hold"
        sign = Text("✓", style="green")
        lines.append([sign, Text(words), Text(_rows_checked(holding)), Text(), Text()])
    lines += _removed_lines(report.removed)
    lines += _rename_lines(report.suggested_renames)
    return lines


def _holds(run: Run) -> bool:
    return run.verdict == "passed" and not run.violations and not run.suspects


def _exit_reason(report: CheckReport) -> str:
    """Explain the exit code."""
    if report.code == 1:
        return "a rule is violated"
    reasons = []
    unchecked = report.count("errored") + report.count("skipped")
    if unchecked:
        reasons.append(f"{unchecked} {plural(unchecked, 'rule')} could not be checked")
    deliveries = report.delivered
    failed = deliveries is not None and (deliveries.retried or deliveries.dead)
    if report.waiting or report.unnotified or failed:
        reasons.append("not every message could be delivered")
    return " and ".join(reasons)


def _sign(result: Result) -> Text:
    if result.run.verdict in ("errored", "skipped"):
        mark, style = terminal.UNKNOWN
    elif result.severity is None:
        mark, style = terminal.PASSED
    elif result.severity < Severity.ERROR:
        mark, style = terminal.MILD
    else:
        mark, style = terminal.FAILED
    return Text(mark, style=style)


def _line(result: Result, *cells: Text) -> list[Text]:
    """Return five cells: the sign, the rule, and up to three more."""
    padding = [Text()] * (3 - len(cells))
    return [_sign(result), Text(result.rule.id), *cells, *padding]


def _problem_lines(results: Sequence[Result], at: datetime) -> Iterator[Line]:
    """Return the lines of rules that don't hold. A source that does not answer gets one line for
    all of its rules."""
    skipped: dict[tuple[str, str | None], list[Result]] = {}
    for result in results:
        if result.run.verdict == "skipped":
            skipped.setdefault((result.run.source, result.run.error), []).append(result)
    for result in results:
        same_error = skipped.get((result.run.source, result.run.error), [])
        if len(same_error) < 2:
            yield from _rule_lines(result, at)
        elif result is same_error[0]:
            title = f"{len(same_error):,} rules of {result.run.source}"
            yield from _unchecked_lines(result, title)


def _unchecked_lines(result: Result, title: str) -> list[Line]:
    error = f"not checked: {display_value(result.run.error or '', limit=400)}"
    return [
        [_sign(result), Text(title), Text(error), Text(), Text()],
        Text(f"   {result.run.hint or ''}", style="dim"),
    ]


def _removed_lines(removed: Mapping[str, int]) -> Iterator[Text]:
    for rule, violations in list(removed.items())[:REMOVED]:
        words = "no longer checked: removed from the rules file"
        if violations:
            words += f" with {violations:,} open {plural(violations, 'violation')}"
        yield Text.assemble(("-", "yellow"), f"  {rule}: {words}")
    more = len(removed) - REMOVED
    if more > 0:
        yield Text(f"   and {more:,} more removed {plural(more, 'rule')}", style="dim")


def _rename_lines(suggested: Mapping[str, str]) -> Iterator[Text]:
    for new, old in list(suggested.items())[:REMOVED]:
        words = f"means the same as `{old}`, which left: if it was renamed, add `formerly: {old}`"
        yield Text.assemble(("-", "yellow"), f"  {new}: {words}")


def _rule_lines(result: Result, at: datetime) -> list[Line]:
    run = result.run
    if run.verdict in ("errored", "skipped"):
        return _unchecked_lines(result, result.rule.id)
    if run.suspects and not run.violations:
        return [_line(result, Text(_suspects(run)))]
    if result.severity is None:
        severity = Text("tolerated")
    else:
        severity = Text(result.severity.label, style=terminal.STYLES[result.severity])
    if result.downgraded:
        severity.append(f" ({display_value(result.downgraded, 200)})")
    amount = Text(display_value(result.rule.amount(run), limit=200))
    lines: list[Line] = [
        _line(result, amount, Text(_changes(result, at)), severity),
        Text(f"   {_keys(result)}", style="dim"),
    ]
    repeated = repeated_rows_note(count_repeated(run.tracked))
    if repeated:
        lines.append(Text(f"   {repeated}", style="dim"))
    return lines


def _keys(result: Result) -> str:
    run = result.run
    keys = " · ".join(terminal.key_text(violation.key) for violation in run.tracked[:KEYS])
    more = run.violations - min(KEYS, len(run.tracked))
    if more > 0:
        keys += f" and {more:,} more"
    return keys


def _changes(result: Result, at: datetime) -> str:
    """Return what changed since the last run, and what people decided."""
    run = result.run
    changes = terminal.changed(result.changes)
    untracked = run.violations - len(run.tracked)
    if changes and run.truncated and untracked:
        # Beyond the limit of tracked rows only their number is known.
        changes.append(f"{untracked:,} more only counted")
    words = " · ".join(changes)
    if words:
        words += terminal.open_since(result.incident, at)
    if result.accepted:
        words += f"; {result.accepted:,} accepted"
    if result.triage:
        words += f", {result.triage.action.value} by {display_value(result.triage.author)}"
    if run.suspects:
        words += f" · {_suspects(run)}"
    return words


def _suspects(run: Run) -> str:
    suspects = f"{run.suspects:,} {plural(run.suspects, 'suspect')}"
    return f"{suspects}, to be confirmed by a later run"


def _rows_checked(results: Sequence[Result]) -> str:
    """Return how many rows were checked; for a single rule, the constraint that proves it."""
    if len(results) == 1 and results[0].run.proved_by:
        return f"proved by {display_value(results[0].run.proved_by)}"
    counts = [result.run.checked for result in results if result.run.checked is not None]
    words = "checked"
    # The number of rows that a rule's own query reads is not known.
    if counts:
        total = sum(counts)
        words = f"{total:,} {plural(total, 'row')} checked"
    proofs = sum(result.run.proved_by is not None for result in results)
    if proofs:
        words += f", {proofs} proved by constraints"
    return words


def _summary(report: CheckReport) -> str:
    parts = []
    deliveries = report.delivered
    if deliveries is None:
        parts.append("Dry run: nothing was recorded or sent.")
    else:
        queued = sum(result.queued for result in report.results)
        if queued or deliveries.sent or deliveries.dead or report.waiting:
            messages = f"{queued} {plural(queued, 'message')} queued"
            parts.append(f"{messages}, {deliveries.sent} delivered.")
        if deliveries.dead:
            parts.append(f"{deliveries.dead} rejected permanently; see `sanityd status`.")
        elif report.unnotified:
            recipients = plural(report.unnotified, "recipient")
            parts.append(
                f"{report.unnotified} {recipients} not notified, the message was given up; "
                "see `sanityd status`."
            )
        if report.waiting:
            parts.append(f"{report.waiting} undelivered, will be retried; see `sanityd status`.")
    statements = f"{report.statements} {plural(report.statements, 'statement')}"
    parts.append(f"{report.seconds:.2f} s, {statements}.")
    return " ".join(parts)
