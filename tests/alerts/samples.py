"""Alerts as the pipeline hands them over, with the one thing changed that a test is about."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sanityd.alerts.render import render
from sanityd.model import (
    Alert,
    Incident,
    Message,
    Outcome,
    PastRun,
    Reason,
    RuleFacts,
    Run,
    Severity,
    Told,
    Tracked,
    Value,
)

#: A Monday, 09:05 in Berlin.
AT = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
RULE = RuleFacts(
    id="every-person-has-a-welcome-mail",
    kind="has",
    source="app",
    table="app.people",
    title="Every person has a welcome mail",
    why="Without it people never confirm their address and can't sign in.",
    fix="https://wiki.example.com/runbooks/welcome-mail",
    owner="payments",
    notify=("team-mail",),
    location="rules.yaml:21",
    revision="4f2c9e1",
    key=("id",),
)


def incident(violations: int = 3, **changes: Any) -> Incident:
    """One that is open since the present run."""
    made = Incident("inc-1", RULE.id, "app", AT, Severity.ERROR, violations, checked=1000)
    return replace(made, **changes)


def run(outcome: Outcome = Outcome.COMPLETE) -> Run:
    """A run of the rule."""
    return Run(RULE.id, "has", "app", AT, outcome)


def told(violations: int = 3, severity: Severity = Severity.ERROR, reason: Reason = Reason.OPENED) -> Told:
    """What the recipient knows."""
    return Told(reason, violations, severity)


def row(number: int, *, shown: Mapping[str, Value] | None = None, detail: str = "", ago: int = 0) -> Tracked:
    """An open violation that was first seen so many minutes ago."""
    seen = AT - timedelta(minutes=ago)
    return Tracked(f"print{number}", {"id": number}, True, seen, AT, shown=shown or {}, detail=detail)


def opened(rows: Sequence[Tracked] | None = None, total: int | None = None, **changes: Any) -> Alert:
    """The first mail of the design: three people without a welcome mail."""
    listed = tuple(row(number) for number in (7, 77, 777)) if rows is None else tuple(rows)
    count = len(listed) if total is None else total
    alert = Alert(
        reason=Reason.OPENED,
        at=AT,
        rule=RULE,
        incident=incident(count),
        sentence=f"{count:,} of 1,000 people have no sent welcome mail",
        rows=listed,
        history=past(*[0] * 13, count),
        channel="team-mail",
    )
    return replace(alert, **changes)


def past(*counts: int | Outcome) -> tuple[PastRun, ...]:
    """Earlier runs: how many violations each found, or how it failed."""
    return tuple(
        PastRun(AT, count, 0) if isinstance(count, Outcome) else PastRun(AT, Outcome.COMPLETE, count)
        for count in counts
    )


def mail(alert: Alert, recipient: str = "team@example.com") -> Message:
    """The message as it is sent."""
    return render(alert, recipient=recipient, zone=BERLIN, version="0.1.0", instance="prod")
