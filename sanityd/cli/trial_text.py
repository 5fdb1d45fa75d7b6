"""What `try` tells people: what is wrong, how it was looked at, and what would come of it as things
stand."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.text import Text

from sanityd.alerts.compose.sanitize import cells, visible
from sanityd.authoring.trial import Trial
from sanityd.cli import screen, sqltext
from sanityd.model import Change, Outcome, Reason, Run, beyond_key
from sanityd.model.durations import format_duration
from sanityd.rules.rule import Rule

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console

    from sanityd.checks.invariant import Ladder
    from sanityd.pipeline.simulation import Forecast

#: How many rows, and how many statements, are shown.
ROWS, STATEMENTS = 20, 12

Fact = tuple[str, str | Text]

#: Why somebody would hear nothing, where nobody decided so.
QUIET = {
    Reason.UNCHANGED: "nothing that they weren't told already",
    Reason.BELOW_THRESHOLD: "only errors and critical ones are mailed; it is in the digest and in `sanityd status`",
    Reason.ACCEPTED: "all that is wrong was accepted",
    Reason.QUIET_HOURS: "these are quiet hours; what is still so is told afterwards",
    Reason.RATE_LIMITED: "they got enough mails this hour; the rest comes as one",
    Reason.FLAPPING: "it comes and goes, and is no worse than what they were told",
    Reason.LONG_RUNNING: "open for weeks; in the digest only, until it grows",
    Reason.WAITING: "a message that says so is on its way",
    Reason.NEVER_NOTIFIED: "it is over, and nobody was told of it",
    Reason.NOT_VERIFIED: "it wasn't verified of late",
}


def show(console: "Console", rule: Rule, trial: Trial) -> None:
    """Everything but the mail."""
    _headline(console, rule, trial.run)
    if trial.run.violations:
        console.print()
        _rows(console, rule, trial.run)
    _sql(console, trial)
    console.print()
    before = ""
    for word, told in facts(rule, trial):
        screen.fact(console, "" if word == before else word, told)
        before = word


def facts(rule: Rule, trial: Trial) -> Iterator[Fact]:
    """What there is to know, in the order in which people ask."""
    yield from _how(rule, trial)
    if trial.run.answered:
        yield from _measured(rule, trial.run)
    if trial.foresight is not None:
        yield from _remembered(trial)
        yield from _consequences(rule, trial, trial.foresight)


def _headline(console: "Console", rule: Rule, run: Run) -> None:
    name = Text(rule.id, style="bold")
    if not run.answered:
        told = f": not checked: {visible(run.error or '', limit=1000)}"
        console.print(name.append(told, style="magenta"), soft_wrap=True)
        console.print(f"  {run.hint or ''}", soft_wrap=True)
    elif not run.violations:
        console.print(name.append(": holds.", style="not bold green"))
    else:
        style = screen.STYLES[run.severity] if run.severity else "green"
        tolerated = (
            ""
            if run.severity
            else " That is below the first step of `severity`, so the rule holds."
        )
        sentence = f": {visible(rule.sentence(run), limit=1000)}.{tolerated}"
        console.print(name.append(sentence, style=f"not bold {style}"), soft_wrap=True)


def _rows(console: "Console", rule: Rule, run: Run) -> None:
    rows = run.tracked[:ROWS]
    columns = list(dict.fromkeys(name for row in rows for name in (*row.key, *row.shown)))
    says_what = any(violation.detail or violation.rows > 1 for violation in rows)
    grid = screen.table(*columns, *["what"] * says_what)
    for violation in rows:
        values = {**violation.key, **violation.shown}
        what = beyond_key(violation) + (f" {violation.rows:,} rows" if violation.rows > 1 else "")
        grid.add_row(*cells(columns, values, limit=60), *[what.strip()] * says_what)
    console.print(screen.indented(grid))
    if run.violations > ROWS:
        console.print(f"  … and {run.violations - ROWS:,} more")


def _sql(console: "Console", trial: Trial) -> None:
    if not trial.statements:
        return
    several = len({statement.source for statement in trial.statements}) > 1
    console.print(Text("\nSQL", style="bold"))
    for place, statement in enumerate(trial.statements[:STATEMENTS]):
        if place:
            console.print()
        if several:
            console.print(Text(f"  -- {statement.source}", style="dim"))
        console.print(sqltext.shown(console, statement.sql, statement.dialect), soft_wrap=True)
    if (more := len(trial.statements) - STATEMENTS) > 0:
        console.print(f"\n  … and {more:,} more")


def _how(rule: Rule, trial: Trial) -> Iterator[Fact]:
    run, subject = trial.run, rule.invariant.subject
    for step in trial.steps:
        yield (
            "How it looks",
            f"{step.form} of {visible(step.table)}: {visible(step.reason, limit=300)}",
        )
    costs = [step.cost for step in trial.steps if step.cost is not None]
    expected = (
        f"; the database expected a cost of {sum(costs):,.0f}, in its own unit" if costs else ""
    )
    looks = run.statements
    took = f"{looks} statement{'s' * (looks != 1)}, {run.seconds * 1000:,.0f} ms"
    read = (
        "" if run.checked is None else f", {run.checked:,} row{'s' * (run.checked != 1)} in scope"
    )
    if run.answered or looks:
        yield "Cost", took + read + expected
    if trial.proof is not None:
        yield "Proved by", f"{visible(trial.proof)}, so `check` reads no row of it but once a week"
    if subject.where is not None:
        yield "Only", f"rows where {visible(subject.where, limit=300)}"
    if (age := subject.within) is not None:
        yield "Judged from", f"rows older than {format_duration(age.duration)}, by {age.column}"
    if (window := subject.window) is not None:
        yield "Looks back", f"{format_duration(window.duration)}, by {window.column}"


def _measured(rule: Rule, run: Run) -> Iterator[Fact]:
    check = rule.invariant.check
    if run.measured is not None:
        yield "Measured", f"{visible(check.measure_name, limit=200)} = {number(run.measured)}"
    elif run.checked and (check.needs_key or not run.rows):
        rows = f"{run.rows:,} of {run.checked:,} row{'s' * (run.checked != 1)}"
        yield "Measured", f"{rows} violate{'s' * (run.rows == 1)}, {share(run.rows, run.checked)}"
    yield "Severity", _ladder(rule.invariant.ladder, run)


def number(value: float) -> str:
    """Whole numbers without a point."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.6g}"


def share(part: int, whole: int) -> str:
    """A percentage that is never rounded away: what is below one has two digits that say
    something."""
    percent = part / whole * 100
    digits = 1 if percent >= 1 or not percent else 1 - math.floor(math.log10(percent))
    return f"{percent:.{digits}f}".rstrip("0").rstrip(".") + " %"


def _ladder(ladder: "Ladder", run: Run) -> Text:
    """The steps, with the one that is reached in its colour."""
    line = Text()
    for step in ladder.steps:
        start = (
            f"{step.count:,} on" if step.count is not None else f"{step.percent} % of the rows on"
        )
        line.append(", " if line else "")
        if step.severity is run.severity:
            line.append(
                f"{step.severity.label} from {start}: reached", style=screen.STYLES[step.severity]
            )
        else:
            line.append(f"{step.severity.label} from {start}")
    return line if run.severity else line.append(": not reached")


def _remembered(trial: Trial) -> Iterator[Fact]:
    memory, at = trial.memory, trial.run.at
    if memory.trouble is not None:
        yield "Remembered", f"can't be told: {memory.trouble.message}. {memory.trouble.hint}"
    elif memory.last is None:
        yield "Remembered", "nothing: the rule was never checked"
    else:
        last = memory.last
        found = f"found {last.violations:,}" if last.answered else f"was {last.outcome.value}"
        many = f"{memory.runs:,} run{'s' * (memory.runs != 1)} in five weeks"
        yield "Remembered", f"{many}; the last one, {screen.since(last.at, at)}, {found}"


def _consequences(rule: Rule, trial: Trial, ahead: "Forecast") -> Iterator[Fact]:
    at, run = trial.run.at, ahead.result.run
    if not rule.enabled:
        yield "Switched off", "`check` looks at it only when it is named"
    if trial.run.answered and run.outcome is Outcome.ERRORED:
        yield "Counts as", Text(f"errored: {run.error}", style="magenta")
        return
    if trial.to_be_confirmed:
        again = format_duration(rule.invariant.confirm.after)
        yield (
            "To be confirmed",
            f"`check` looks again, at once and after {again}, before any of it counts",
        )
    if run.suspects:
        runs = rule.invariant.confirm.runs
        yield (
            "To be confirmed",
            f"{run.suspects:,} rows count once {runs} runs in a row have seen them",
        )
    if changes := _changes(ahead, at):
        yield "Since last time", changes
    if ahead.incident is not None and ahead.incident.severity < ahead.incident.declared:
        yield (
            "Counts as",
            Text(ahead.incident.severity.label, style=screen.STYLES[ahead.incident.severity]),
        )
    if ahead.noise_state.sentence:
        yield "Noise", visible(ahead.noise_state.sentence, limit=400)
    if ahead.accepted:
        yield "Accepted", f"{ahead.accepted:,} of the rows, which don't count"
    yield from _told(rule, ahead, at)


def _changes(ahead: "Forecast", at: "datetime") -> str:
    words = " · ".join(screen.changed(ahead.result.changes, (*screen.SEEN, Change.RESOLVED)))
    return words and words + screen.open_since(ahead.incident, at)


def _told(rule: Rule, ahead: "Forecast", at: "datetime") -> Iterator[Fact]:
    """Who would hear of it now, and who wouldn't and why; those with the same reason together."""
    if not ahead.decisions:
        holds = ahead.result.run.answered and ahead.result.run.severity is None
        yield (
            "Would tell",
            "nobody: "
            + ("it holds" if holds else "the rule notifies no channel (`notify`, `owner`)"),
        )
        return
    listeners: dict[Reason, list[str]] = {}
    for one in ahead.decisions:
        channel, recipient = one.recipient
        who = recipient if channel == recipient else f"{recipient} ({channel})"
        listeners.setdefault(one.reason, []).append(visible(who))
    for reason, whom in listeners.items():
        if reason.mails:
            yield (
                "Would tell",
                Text(", ".join(whom), style="bold").append(f": {_word(reason)}", style="not bold"),
            )
        else:
            yield "Would not tell", f"{', '.join(whom)}: {_why_not(rule, reason, ahead, at)}"


def _word(reason: Reason) -> str:
    return reason.value.replace("_", " ")


def _why_not(rule: Rule, reason: Reason, ahead: "Forecast", at: "datetime") -> str:
    decided = (Reason.ACKNOWLEDGED, Reason.SNOOZED, Reason.ACCEPTED, Reason.CLOSED)
    if reason in decided and ahead.triage is not None:
        return screen.stance(ahead.triage, at)
    if reason is Reason.SILENCED and ahead.silences:
        one = ahead.silences[0]
        return f"silenced by {visible(one.author)} until {screen.until(one.until, at)}: {visible(one.reason, 80)}"
    if reason is Reason.INHIBITED:
        return f"what it depends on is wrong, too ({', '.join(rule.depends_on)})"
    return QUIET.get(reason, _word(reason))
