"""Alert → plain JSON for programs: the same facts as in the mail, and no value that may not leave either."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from sanityd.alerts.compose.rows_table import Chosen
from sanityd.alerts.compose.sanitize import escaped, visible
from sanityd.model import Alert, Incident, News, Value

# Beyond it, many readers of JSON give back another number.
_EXACT = 2**53


def data(alert: Alert, chosen: Sequence[Sequence[Chosen]]) -> dict[str, object]:
    """What a program gets of an alert. Parameters: `chosen` are the rows that are listed, for each news."""
    return {
        "event": alert.reason.value,
        "at": alert.at.isoformat(),
        "incidents": [_one(news, rows) for news, rows in zip(alert.news, chosen, strict=True)],
    }


def _one(news: News, rows: Sequence[Chosen]) -> dict[str, object]:
    rule = news.rule
    return {
        "event": news.reason.value,
        "rule": escaped(rule.id),
        "title": escaped(rule.title),
        "sentence": escaped(news.sentence, 500),
        "noise": escaped(news.noise, 500),
        "owner": escaped(rule.owner),
        "tags": [escaped(tag) for tag in rule.tags],
        "table": escaped(rule.table),
        "location": escaped(rule.location),
        "fix": escaped(" ".join(rule.fix.split()), 2000),
        **_about(news.incident),
        "stale_since": _time(news.stale_since),
        "due": _time(news.due),
        "rows": [
            {
                "key": _plain(row.key),
                "shown": _plain(row.shown),
                "since": row.first_seen.isoformat(),
            }
            for _, row in rows
        ],
    }


def _about(incident: Incident | None) -> dict[str, object]:
    """The same keys with and without an incident, so that a program needs no cases."""
    if incident is None:
        return dict.fromkeys(_INCIDENT)
    return {
        "incident": escaped(incident.id),
        "cause": incident.cause.value,
        "severity": incident.severity.label,
        "declared": incident.declared.label,
        "violations": incident.violations,
        "checked": incident.checked,
        "opened_at": incident.opened_at.isoformat(),
        "resolved_at": _time(incident.resolved_at),
        "systemic": incident.systemic,
        "source": escaped(incident.source),
        "error": escaped(incident.error, 500),
        "hint": escaped(incident.hint, 500),
    }


_INCIDENT = (
    *(
        "incident",
        "cause",
        "severity",
        "declared",
        "violations",
        "checked",
        "opened_at",
        "resolved_at",
    ),
    *("systemic", "source", "error", "hint"),
)


def _time(when: datetime | None) -> str | None:
    return when.isoformat() if when is not None else None


def _plain(values: Mapping[str, Value]) -> dict[str, object]:
    return {escaped(name): _value(value) for name, value in values.items()}


def _value(value: Value) -> object:
    match value:
        case None | bool():
            return value
        case int() if abs(value) <= _EXACT:
            return value
        case float() if math.isfinite(value):
            return value
        case str():
            return escaped(value)
    return visible(value)
