"""Alerts as the pipeline hands them over, with the one thing changed that a test is about."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sanityd.alerts.compose.digest_view import (
    SECTIONS,
    Digest,
    DigestLine,
    acknowledge_command,
    render_digest,
)
from sanityd.alerts.compose.render import render
from sanityd.model import (
    Alert,
    Cause,
    Change,
    Incident,
    LastNotification,
    Message,
    News,
    Outcome,
    Outlook,
    PastRun,
    Reason,
    Resolution,
    RuleFacts,
    Severity,
    TrackedViolation,
    Triage,
    TriageAction,
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
    tags=("gdpr",),
    notify=("team-mail",),
    location="rules.yaml:21",
    revision="4f2c9e1",
    key=("id",),
    population="people",
)
APP = RuleFacts(
    id="source:app", kind="source", source="app", table="", title="Source app", revision="4f2c9e1"
)
KEY = "0123456789abcdef" * 4
ROOT = "<opened.00000000000000000000000000000000@prod.sanityd>"
_NEWS = {field.name for field in fields(News)}


def hours(count: float) -> timedelta:
    """A span of time."""
    return timedelta(hours=count)


def incident(violations: int = 3, **changes: Any) -> Incident:
    """One that is open since the present run."""
    made = Incident("inc-1", RULE.id, "app", AT, Severity.ERROR, violations, checked=1000)
    return replace(made, **changes)


def told(
    violations: int = 3, severity: Severity = Severity.ERROR, reason: Reason = Reason.OPENED
) -> LastNotification:
    """What the recipient knows."""
    return LastNotification(reason, violations, severity)


def knew(
    violations: int = 3, severity: Severity = Severity.ERROR, **changes: Any
) -> LastNotification:
    """The same, by a mail of yesterday at this time."""
    known = replace(told(violations, severity), sequence=1, at=AT - hours(24), root=ROOT)
    return replace(known, **changes)


def row(
    number: int, *, shown: Mapping[str, Value] | None = None, detail: str = "", ago: int = 0
) -> TrackedViolation:
    """An open violation that was first seen so many minutes ago."""
    seen = AT - timedelta(minutes=ago)
    return TrackedViolation(
        f"print{number}", {"id": number}, True, seen, AT, shown=shown or {}, detail=detail
    )


def news(
    rows: Sequence[TrackedViolation] | None = None, total: int | None = None, **changes: Any
) -> News:
    """Three people without a welcome mail."""
    listed = tuple(row(number) for number in (7, 77, 777)) if rows is None else tuple(rows)
    count = len(listed) if total is None else total
    made = News(
        reason=Reason.OPENED,
        rule=RULE,
        incident=incident(count),
        sentence=f"{count:,} of 1,000 people have no sent welcome mail",
        fact=f"{count:,} people have no sent welcome mail",
        looked_at=AT,
        rows=listed,
        history=past(*[0] * 13, count),
        outlook=Outlook(2 * max(count, 1), (1, AT + hours(1)), AT + hours(24)),
    )
    return replace(made, **changes)


def alert(*about: News, reason: Reason | None = None, **changes: Any) -> Alert:
    """A message's content about one or several incidents."""
    return replace(
        Alert(reason or about[0].reason, AT, about, channel="team-mail", key=KEY), **changes
    )


def opened(
    rows: Sequence[TrackedViolation] | None = None, total: int | None = None, **changes: Any
) -> Alert:
    """The first mail of the design, with changes of the news or of the alert."""
    about = news(rows, total, **{name: value for name, value in changes.items() if name in _NEWS})
    return alert(about, **{name: value for name, value in changes.items() if name not in _NEWS})


def past(*counts: int | Outcome) -> tuple[PastRun, ...]:
    """Earlier runs: how many violations each found, or how it failed."""
    return tuple(
        PastRun(AT, count, 0)
        if isinstance(count, Outcome)
        else PastRun(AT, Outcome.COMPLETE, count)
        for count in counts
    )


def mail(
    about: Alert, recipient: str = "team@example.com", templates: Path | None = None
) -> Message:
    """The message as it is sent."""
    return render(
        about,
        recipient=recipient,
        zone=BERLIN,
        version="0.1.0",
        instance="prod",
        templates=templates,
    )


def decided(**changes: Any) -> Triage:
    """What ana decided on 3 Nov."""
    begun = datetime(2026, 11, 3, 9, tzinfo=UTC)
    made = Triage(
        *(
            1,
            TriageAction.ACKNOWLEDGED,
            RULE.id,
            "inc-1",
            "ana",
            "the supplier repairs it",
            begun,
            AT,
            12,
            Severity.ERROR,
        )
    )
    return replace(made, ended_at=AT, ended="expired", **changes)


def failed(cause: Cause, **changes: Any) -> News:
    """A rule that can't be checked, or a source that does not answer."""
    is_rule = cause is Cause.ERRORED
    error = (
        "the table `app.mails` has no column `kind`"
        if is_rule
        else "the server refused the connection"
    )
    hint = "Correct the rule, or add the column." if is_rule else "Check that the database answers."
    rule = RULE if is_rule else APP
    words = (
        f"this rule can't be checked: {error}"
        if is_rule
        else f"`app` does not answer, so 9 rules are not checked: {error}"
    )
    about = incident(
        0, rule=rule.id, cause=cause, error=error, hint=hint, opened_at=AT - timedelta(minutes=25)
    )
    made = News(
        Reason.ERRORED if is_rule else Reason.SOURCE_DOWN, rule, about, words, AT - hours(1)
    )
    return replace(made, **changes)


def over(about: News, minutes: int = 70, **changes: Any) -> News:
    """The same, solved now."""
    assert about.incident is not None
    ended = replace(
        about.incident,
        violations=0,
        opened_at=AT - timedelta(minutes=minutes),
        resolved_at=AT,
        **changes,
    )
    return replace(about, reason=Reason.RESOLVED, incident=ended, rows=(), last_notification=knew())


MANY = tuple(row(number, ago=37 - number) for number in range(1, 38))
_GREW = past(0, 0, 0, 2, 2, Outcome.ERRORED, 5, 9, 12, 12, Outcome.SKIPPED, 12, 14, 37)
_UNHEARD = "declared error, now warning since 2 Nov: 14 mails, none acted on"
_MORE = RuleFacts(
    *("no-duplicate-emails", "unique", "app", "app.people", "No two people share an address"),
    fix="Ask the older account whether it is still used.",
    location="rules.yaml:30",
    key=("email",),
    population="people",
)
_RESOLVED = over(news(), resolutions={Resolution.FIXED: 2, Resolution.ROW_GONE: 1})
_ESCALATED = news(
    MANY,
    reason=Reason.ESCALATED,
    incident=incident(37, opened_at=AT - hours(25)),
    last_notification=knew(12),
    changes={Change.NEW: 25, Change.ONGOING: 12, Change.RESOLVED: 1},
    history=_GREW,
)
_SHARED = news(
    [
        row(1, shown={"name": "Ana"}, detail="2 rows"),
        row(2, shown={"name": "Ben"}, detail="3 rows"),
    ],
    rule=_MORE,
    incident=incident(2, id="inc-2", severity=Severity.CRITICAL),
    sentence="2 keys, 5 rows are not unique",
    fact="2 keys are not unique",
)


def _about_noise(reason: Reason, words: str, **changes: Any) -> News:
    return replace(
        news(last_notification=knew(), history=past(0, 3, 0, 3, 0, 0, 3, 0, 3, 0, 0, 3, 0, 3)),
        reason=reason,
        noise=words,
        **changes,
    )


#: A mail of each kind, for whatever must be true of all.
ALL: dict[str, Alert] = {
    "opened": opened(),
    "opened-systemic": opened(
        MANY, 40_000, incident=incident(40_000, systemic=True, checked=50_000), complete=False
    ),
    "opened-several": alert(
        news(), _SHARED, news(MANY, rule=replace(_MORE, id="third", title="Third rule"))
    ),
    "opened-downgraded-once": opened(
        noise=_UNHEARD.replace("error", "critical").replace("warning", "error")
    ),
    "escalated": alert(_ESCALATED),
    "escalated-decided": alert(replace(_ESCALATED, triage=decided())),
    "updated": opened(
        [row(1, ago=3000), row(2, ago=2900), row(3), row(4)],
        reason=Reason.UPDATED,
        last_notification=knew(2),
        incident=incident(4, opened_at=AT - hours(50)),
        changes={Change.NEW: 2, Change.ONGOING: 2},
    ),
    "reminder": opened(
        reason=Reason.REMINDER,
        last_notification=knew(),
        incident=incident(opened_at=AT - hours(25)),
    ),
    "reminder-decided": opened(
        reason=Reason.REMINDER,
        last_notification=knew(),
        incident=incident(opened_at=AT - hours(500)),
        triage=decided(),
    ),
    "reminder-stale": opened(
        reason=Reason.REMINDER,
        last_notification=knew(),
        incident=incident(opened_at=AT - hours(25)),
        stale_since=AT - hours(1),
        looked_at=AT - hours(2),
    ),
    "resolved": alert(_RESOLVED),
    "resolved-several": alert(
        _RESOLVED, over(_SHARED, 30, resolutions={Resolution.NOT_RETURNED: 2})
    ),
    "resolved-errored": alert(over(failed(Cause.ERRORED))),
    "resolved-source": alert(over(failed(Cause.SOURCE_DOWN))),
    "closed": alert(over(news(), resolutions={Resolution.RULE_CHANGED: 3})),
    "errored": alert(failed(Cause.ERRORED)),
    "source_down": alert(failed(Cause.SOURCE_DOWN)),
    "notice": alert(
        _about_noise(
            *(
                Reason.DOWNGRADE_NOTICE,
                "it will count as warning from 26 Nov on: 14 mails, none acted on",
            ),
            due=AT + hours(72),
        )
    ),
    "downgraded": alert(_about_noise(Reason.DOWNGRADED, _UNHEARD, incident=None, rows=())),
    "restored": alert(
        _about_noise(Reason.RESTORED, "declared error counts again: 3 of 4 incidents were acted on")
    ),
    "flapping": alert(
        _about_noise(
            Reason.FLAPPING_STARTED, "it came and went 9 times in its last 19 runs (score 45)"
        )
    ),
    "calm": alert(
        _about_noise(
            Reason.FLAPPING_ENDED,
            "it came and went for 3 d, and is solved now (score 20)",
            incident=None,
            rows=(),
        )
    ),
    "summary": alert(
        *(_RESOLVED, failed(Cause.SOURCE_DOWN), _ESCALATED, _SHARED, failed(Cause.ERRORED)),
        reason=Reason.SUMMARY,
    ),
    "summary-huge": alert(
        *(
            news(
                MANY,
                4_000,
                rule=replace(RULE, id=f"rule-{n}", title=f"Rule {n}"),
                incident=incident(4000, id=f"i{n}"),
            )
            for n in range(40)
        ),
        reason=Reason.SUMMARY,
    ),
}


def digest(**changes: Any) -> Digest:
    """One with something in every section."""
    ago = AT - hours(50)
    made = Digest(
        AT,
        "ana@example.com",
        "team-mail",
        health=(
            DigestLine(
                "payments-equal-the-ledger",
                "overdue: the last look was 3 h ago",
                None,
                AT - hours(3),
            ),
        ),
        decisions=(
            DigestLine(
                "no-duplicate-emails",
                "2 keys, 5 rows are not unique; the acknowledgement by ana ends tomorrow",
                Severity.ERROR,
                ago,
                acknowledge_command("no-duplicate-emails"),
            ),
        ),
        new=(
            DigestLine(
                RULE.id,
                "3 of 1,000 people have no sent welcome mail",
                Severity.ERROR,
                AT - hours(1),
            ),
        ),
        regressed=(
            DigestLine(
                "ids-are-unique", "1 key, 2 rows are not unique", Severity.CRITICAL, AT - hours(2)
            ),
        ),
        open=(
            DigestLine(
                "status-is-known", "1 of 1,000 orders has an unknown status", Severity.WARNING, ago
            ),
            DigestLine(
                "amounts-add-up", "12 of 90 invoices don't add up", Severity.INFO, AT - hours(900)
            ),
        ),
        noise=(
            DigestLine("stock-is-positive", "silenced by ben until 26 Nov: stocktaking", None, ago),
            DigestLine(
                "rates",
                "declared error, now warning",
                Severity.WARNING,
                None,
                "sanityd noise undo rates",
            ),
        ),
        resolved=(DigestLine("orders-have-lines", "2 were repaired", Severity.ERROR),),
        quality="28 d: 41 mails, 29 acted on",
        holding=205,
    )
    return replace(made, **changes)


#: A digest of each kind.
DIGESTS = {
    "digest": digest(),
    "digest-empty": Digest(
        AT, "ana@example.com", "team-mail", holding=214, quality="28 d: 41 mails, 29 acted on"
    ),
    "digest-huge": digest(**dict.fromkeys(SECTIONS, digest().decisions * 40)),
}


def digest_mail(about: Digest, templates: Path | None = None) -> Message:
    """The digest as it is sent."""
    return render_digest(about, zone=BERLIN, version="0.1.0", instance="prod", templates=templates)
