"""Histories of rules, as short as a test needs them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sanityd.alerts.settings import Settings
from sanityd.model import Reason, Severity
from sanityd.notifications.noise import (
    Episode,
    NoiseDecision,
    NoiseState,
    PastRunResult,
    Record,
    SentMail,
    judge,
)
from sanityd.notifications.noise.attention import forgotten

AT = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SETTINGS = Settings()
Told = list[tuple[datetime, NoiseDecision]]


def ago(days: float) -> datetime:
    return AT - days * DAY


def mails(
    count: int, days: int | None = None, acted: int = 0, last: datetime = AT
) -> dict[str, Any]:
    """So many mails on the last days, each about an incident of its own that lasted five hours."""
    days = days or count
    times = sorted(
        last - (number % days) * DAY - (number // days) * MINUTE for number in range(count)
    )
    return {
        "sent": [SentMail(at, f"i{number}") for number, at in enumerate(times)],
        "episodes": [
            Episode(f"i{number}", at, at + 5 * HOUR, acted=number < acted)
            for number, at in enumerate(times)
        ],
    }


def closed(count: int, false: int) -> list[Episode]:
    return [
        Episode(f"c{number}", ago(9 - number / 10), ago(8), True, number < false, True)
        for number in range(count)
    ]


def looks(
    pattern: str, every: timedelta = HOUR, last: datetime = AT, violations: int = 3
) -> list[PastRunResult]:
    """`x` is violated, `.` held; the last one is at `last`."""
    begin = last - (len(pattern) - 1) * every
    return [
        PastRunResult(
            begin + number * every,
            violations * (sign == "x"),
            Severity.ERROR if sign == "x" else None,
        )
        for number, sign in enumerate(pattern)
    ]


def record(**facts: Any) -> Record:
    known: dict[str, Any] = {
        "declared": Severity.ERROR,
        "since": ago(200),
        "interval": HOUR,
        "looks": looks("x"),
    }
    return Record(**{**known, **facts})


def reasons(verdicts: Sequence[NoiseDecision]) -> list[Reason]:
    return [verdict.reason for verdict in verdicts]


def downgraded(**facts: Any) -> NoiseState:
    """Two days ago, at three violations."""
    return NoiseState(
        **{"steps": 1, "since": ago(2), "baseline": 3, "sentence": "declared error, now …", **facts}
    )


def downgrading(standing: NoiseState) -> NoiseState:
    """The state without what spares mails: how they are paced, paused and compared."""
    return replace(forgotten(standing), calm_from=None, flapping_ended_at=None)


def live(
    known: Record, times: Sequence[datetime], settings: Settings = SETTINGS
) -> tuple[NoiseState, Told]:
    """Judge at each of these times what was known by then."""
    standing, told = NoiseState(), []
    for at in times:
        standing, verdicts = judge(known, standing, settings, at)
        told += [(at, verdict) for verdict in verdicts]
    return standing, told
