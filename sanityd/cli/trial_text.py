"""Formats the result of `try` as text: what is wrong, how it was checked, and what would follow."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.text import Text

from sanityd.alerts.compose.sanitize import display_value, display_values
from sanityd.authoring.trial import Trial
from sanityd.cli import sqltext, terminal
from sanityd.cli.evidence import print_items
from sanityd.cli.terminal import plural
from sanityd.model import Change, Outcome, Reason, Run, Violation, extra_detail
from sanityd.model.durations import format_duration
from sanityd.model.identical_rows import count_repeated, repeated_rows_note
from sanityd.rules.rule import Rule

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console

    from sanityd.checks.invariant import Ladder
    from sanityd.pipeline.simulation import Forecast

#: How many rows, and how many statements, are shown.
ROWS, STATEMENTS = 20, 12

#: A label and its value.
Fact = tuple[str, str | Text]

#: Why a recipient would not be notified, where the reason is no decision of a person.
QUIET = {
    Reason.UNCHANGED: "nothing changed since the last notification",
    Reason.BELOW_THRESHOLD: (
        "only error and critical are mailed at once; it is in the digest and in `sanityd status`"
    ),
    Reason.ACCEPTED: "all violations are accepted",
    Reason.KEPT_OPEN: "it holds again, but not for as long as `keep_open` says",
    Reason.NOT_TAKEN: "the channel does not take it",
    Reason.QUIET_HOURS: "quiet hours; what is still open is mailed afterwards",
    Reason.RATE_LIMITED: "the limit of mails per hour is reached; the rest is mailed as one",
    Reason.FLAPPING: "flapping, and no worse than at the last notification",
    Reason.AUTO_PAUSED: "most incidents of the rule end by themselves, so the mail waits for that",
    Reason.NOT_ACTED_ON: "nobody acted on the last mails about the rule, so the next comes later",
    Reason.IN_DIGEST: "the digest says so",
    Reason.ANNOUNCED: "it belongs to a change that was announced; one mail comes at its end",
    Reason.LONG_RUNNING: "open for weeks; in the digest only, until it grows",
    Reason.WAITING: "a message about it is being delivered",
    Reason.NEVER_NOTIFIED: "resolved, and nobody was notified of it",
    Reason.NOT_VERIFIED: "not verified recently",
}
#: Reasons that are decisions of people about an incident.
_TRIAGE_REASONS = (Reason.ACKNOWLEDGED, Reason.SNOOZED, Reason.ACCEPTED, Reason.CLOSED)


def show(console: "Console", rule: Rule, trial: Trial) -> None:
    """Print everything but the mail."""
    _headline(console, rule, trial.run)
    if trial.run.violations:
        console.print()
        _rows(console, trial.run)
        _evidence(console, trial)
    _sql(console, trial)
    console.print()
    previous = ""
    for label, value in facts(rule, trial):
        shown_label = "" if label == previous else label
        terminal.fact(console, shown_label, value)
        previous = label


def facts(rule: Rule, trial: Trial) -> Iterator[Fact]:
    """Return labels and values: the plan, the measure, the history, the consequences."""
    yield from _plan(trial)
    yield from _scope(rule)
    if trial.run.answered:
        yield from _measured(rule, trial.run)
    for finding in trial.unmatched:
        yield "Matches nothing", f"{finding.message}: {finding.advice}"
    if trial.foresight is not None:
        yield from _history(trial)
        yield from _consequences(rule, trial, trial.foresight)


def _headline(console: "Console", rule: Rule, run: Run) -> None:
    title = Text(rule.id, style="bold")
    if not run.answered:
        error = f": not checked: {display_value(run.error or '', limit=1000)}"
        console.print(title.append(error, style="magenta"), soft_wrap=True)
        console.print(f"  {run.hint or ''}", soft_wrap=True)
        return
    if not run.violations:
        console.print(title.append(": holds.", style="not bold green"))
        return
    sentence = f": {display_value(rule.sentence(run), limit=1000)}."
    if run.severity:
        style = terminal.STYLES[run.severity]
    else:
        style = "green"
        sentence += " That is below the first step of `severity`, so the rule holds."
    console.print(title.append(sentence, style=f"not bold {style}"), soft_wrap=True)


def _rows(console: "Console", run: Run) -> None:
    violations = run.tracked[:ROWS]
    columns: dict[str, None] = {}
    has_details = False
    for violation in violations:
        columns.update(dict.fromkeys((*violation.key, *violation.shown)))
        if violation.detail or violation.rows > 1:
            has_details = True
    headers = [*columns, "what"] if has_details else list(columns)
    grid = terminal.table(*headers)
    for violation in violations:
        row = list(display_values(list(columns), {**violation.key, **violation.shown}, limit=60))
        if has_details:
            row.append(_detail(violation))
        grid.add_row(*row)
    console.print(terminal.indented(grid))
    if run.violations > ROWS:
        console.print(f"  … and {run.violations - ROWS:,} more")
    repeated = repeated_rows_note(count_repeated(run.tracked))
    if repeated:
        console.print(f"  {repeated}", soft_wrap=True)


def _evidence(console: "Console", trial: Trial) -> None:
    for violation, items in zip(trial.run.tracked, trial.evidence, strict=False):
        print_items(console, violation.key, items, "read now")


def _detail(violation: Violation) -> str:
    """Return what is wrong with a row, and how many rows have this key."""
    detail = extra_detail(violation)
    if violation.rows > 1:
        detail += f" {violation.rows:,} rows"
    return detail.strip()


def _sql(console: "Console", trial: Trial) -> None:
    if not trial.statements:
        return
    sources = {statement.source for statement in trial.statements}
    console.print(Text("\nSQL", style="bold"))
    for number, statement in enumerate(trial.statements[:STATEMENTS]):
        if number > 0:
            console.print()
        if len(sources) > 1:
            console.print(Text(f"  -- {statement.source}", style="dim"))
        console.print(sqltext.shown(console, statement.sql, statement.dialect), soft_wrap=True)
    more = len(trial.statements) - STATEMENTS
    if more > 0:
        console.print(f"\n  … and {more:,} more")


def _plan(trial: Trial) -> Iterator[Fact]:
    run = trial.run
    for step in trial.steps:
        yield (
            "Plan",
            f"{step.form} of {display_value(step.table)}: {display_value(step.reason, limit=300)}",
        )
    if run.answered or run.statements:
        yield "Cost", _cost(trial)
    if trial.proof is not None:
        yield (
            "Proved by",
            f"{display_value(trial.proof)}, so `check` reads its rows only once a week",
        )


def _cost(trial: Trial) -> str:
    run = trial.run
    statements = f"{run.statements} {plural(run.statements, 'statement')}"
    words = f"{statements}, {run.seconds * 1000:,.0f} ms"
    if run.checked is not None:
        words += f", {run.checked:,} {plural(run.checked, 'row')} in scope"
    costs = [step.cost for step in trial.steps if step.cost is not None]
    if costs:
        words += f"; the database expected a cost of {sum(costs):,.0f}, in its own unit"
    return words


def _scope(rule: Rule) -> Iterator[Fact]:
    """Return the rows that the rule is about."""
    subject = rule.invariant.subject
    if subject.where is not None:
        yield "Where", f"rows where {display_value(subject.where, limit=300)}"
    if subject.within is not None:
        age = format_duration(subject.within.duration)
        yield "Within", f"rows older than {age}, by {subject.within.column}"
    if subject.window is not None:
        yield "Window", f"{format_duration(subject.window.duration)}, by {subject.window.column}"


def _measured(rule: Rule, run: Run) -> Iterator[Fact]:
    check = rule.invariant.check
    if run.measured is not None:
        yield "Measured", f"{display_value(check.measure_name, limit=200)} = {number(run.measured)}"
    elif run.checked and (check.needs_key or not run.rows):
        verb = "violates" if run.rows == 1 else "violate"
        rows = f"{run.rows:,} of {run.checked:,} {plural(run.checked, 'row')}"
        yield "Measured", f"{rows} {verb}, {share(run.rows, run.checked)}"
    yield "Severity", _ladder(rule.invariant.ladder, run)


def number(value: float) -> str:
    """Format a number; whole numbers have no decimal point."""
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.6g}"


def share(part: int, whole: int) -> str:
    """Format a percentage. Below 1 % it has two significant digits, so it is never rounded to 0."""
    percent = part / whole * 100
    digits = 1
    if 0 < percent < 1:
        digits = 1 - math.floor(math.log10(percent))
    return f"{percent:.{digits}f}".rstrip("0").rstrip(".") + " %"


def _ladder(ladder: "Ladder", run: Run) -> Text:
    """Return the steps of `severity`; the one that is reached has its colour."""
    line = Text()
    for step in ladder.steps:
        if line:
            line.append(", ")
        if step.count is not None:
            start = f"{step.count:,} on"
        else:
            start = f"{step.percent} % of the rows on"
        words = f"{step.severity.label} from {start}"
        if step.severity is run.severity:
            line.append(f"{words}: reached", style=terminal.STYLES[step.severity])
        else:
            line.append(words)
    if not run.severity:
        line.append(": not reached")
    return line


def _history(trial: Trial) -> Iterator[Fact]:
    """Return what the store has about the rule."""
    history = trial.memory
    last = history.last
    if history.trouble is not None:
        yield "History", f"can't be read: {history.trouble.message}. {history.trouble.hint}"
    elif last is None:
        yield "History", "none: the rule was never checked"
    else:
        result = f"found {last.violations:,}" if last.answered else f"was {last.outcome.value}"
        runs = f"{history.runs:,} {plural(history.runs, 'run')}"
        if history.since is not None and history.runs > 1:
            runs += f" since {terminal.since(history.since, trial.run.at)}"
        yield "History", f"{runs}; the last, {terminal.since(last.at, trial.run.at)}, {result}"


def _consequences(rule: Rule, trial: Trial, forecast: "Forecast") -> Iterator[Fact]:
    run = forecast.result.run
    if not rule.enabled:
        yield "Disabled", "`check` evaluates the rule only when it is named"
    if trial.run.answered and run.outcome is Outcome.ERRORED:
        yield "Counts as", Text(f"errored: {run.error}", style="magenta")
        return
    yield from _confirmations(rule, trial, run)
    yield from _state_changes(trial, forecast)
    yield from _notifications(rule, forecast, trial.run.at)


def _confirmations(rule: Rule, trial: Trial, run: Run) -> Iterator[Fact]:
    confirm = rule.invariant.confirm
    if trial.to_be_confirmed:
        delay = format_duration(confirm.after)
        yield (
            "To be confirmed",
            f"`check` evaluates again, at once and after {delay}, before any violation counts",
        )
    if run.suspects:
        enough = f"after {confirm.runs} runs in a row found them"
        if confirm.lasting is not None:
            enough = f"when every run for {format_duration(confirm.lasting)} finds them"
        yield "To be confirmed", f"{run.suspects:,} rows count {enough}"


def _state_changes(trial: Trial, forecast: "Forecast") -> Iterator[Fact]:
    incident = forecast.incident
    changes = (*terminal.OPEN_CHANGES, Change.RESOLVED)
    words = " · ".join(terminal.changed(forecast.result.changes, changes))
    if words:
        yield "Since last time", words + terminal.open_since(incident, trial.run.at)
    if incident is not None and incident.severity < incident.declared:
        style = terminal.STYLES[incident.severity]
        yield "Counts as", Text(incident.severity.label, style=style)
    if forecast.noise_state.sentence:
        yield "Noise", display_value(forecast.noise_state.sentence, limit=400)
    if forecast.accepted:
        yield "Accepted", f"{forecast.accepted:,} of the rows, which don't count"


def _notifications(rule: Rule, forecast: "Forecast", at: "datetime") -> Iterator[Fact]:
    """Return who would be notified, and who not and why. Recipients with the same reason share a
    line."""
    if not forecast.decisions:
        run = forecast.result.run
        if run.answered and run.severity is None:
            yield "Would notify", "nobody: it holds"
        else:
            yield "Would notify", "nobody: the rule notifies no channel (`notify`, `owner`)"
        return
    recipients: dict[Reason, list[str]] = {}
    for decision in forecast.decisions:
        channel, recipient = decision.recipient
        name = recipient if channel == recipient else f"{recipient} ({channel})"
        recipients.setdefault(decision.reason, []).append(display_value(name))
    for reason, names in recipients.items():
        if reason.mails:
            line = Text(", ".join(names), style="bold")
            yield "Would notify", line.append(f": {_word(reason)}", style="not bold")
        else:
            why = _why_not(rule, reason, forecast, at)
            yield "Would not notify", f"{', '.join(names)}: {why}"


def _word(reason: Reason) -> str:
    return reason.value.replace("_", " ")


def _why_not(rule: Rule, reason: Reason, forecast: "Forecast", at: "datetime") -> str:
    if reason in _TRIAGE_REASONS and forecast.triage is not None:
        return terminal.triage_text(forecast.triage, at)
    if reason is Reason.SILENCED and forecast.silences:
        silence = forecast.silences[0]
        end = terminal.until(silence.until, at)
        reason_text = display_value(silence.reason, 80)
        return f"silenced by {display_value(silence.author)} until {end}: {reason_text}"
    if reason is Reason.INHIBITED:
        return f"a rule that it depends on is violated ({', '.join(rule.depends_on)})"
    return QUIET.get(reason, _word(reason))
