"""The JSON of an alert for programs: the same facts and the same values of rows as in the mail."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from sanityd.alerts.compose.rows_table import ListedRow
from sanityd.alerts.compose.sanitize import display_value, escape_hidden
from sanityd.model import Alert, Evidence, Incident, News, TrackedViolation, Value

# Many readers of JSON round larger integers.
_LARGEST_EXACT = 2**53


def data(alert: Alert, listed: Sequence[Sequence[ListedRow]]) -> dict[str, object]:
    """Return the JSON of an alert. `listed` are the rows to list for each of the alert's news."""
    return {
        "event": alert.reason.value,
        "at": alert.at.isoformat(),
        "incidents": [_incident(news, rows) for news, rows in zip(alert.news, listed, strict=True)],
    }


def _incident(news: News, rows: Sequence[ListedRow]) -> dict[str, object]:
    rule = news.rule
    return {
        "event": news.reason.value,
        "rule": escape_hidden(rule.id),
        "title": escape_hidden(rule.title),
        "sentence": escape_hidden(news.sentence, 500),
        "noise": escape_hidden(news.noise, 500),
        "owner": escape_hidden(rule.owner),
        "tags": [escape_hidden(tag) for tag in rule.tags],
        "table": escape_hidden(rule.table),
        "location": escape_hidden(rule.location),
        "fix": escape_hidden(" ".join(rule.fix.split()), 2000),
        **_incident_facts(news.incident),
        "stale_since": _time(news.stale_since),
        "due": _time(news.due),
        "rows": [_row(item.row, news.evidence) for item in rows],
    }


def _incident_facts(incident: Incident | None) -> dict[str, object]:
    """Return the same keys with and without an incident, so that a program needs no cases."""
    if incident is None:
        return dict.fromkeys(_INCIDENT_KEYS)
    return {
        "incident": escape_hidden(incident.id),
        "cause": incident.cause.value,
        "severity": incident.severity.label,
        "declared": incident.declared.label,
        "violations": incident.violations,
        "checked": incident.checked,
        "opened_at": incident.opened_at.isoformat(),
        "resolved_at": _time(incident.resolved_at),
        "systemic": incident.systemic,
        "ticket": escape_hidden(incident.ticket),
        "source": escape_hidden(incident.source),
        "error": escape_hidden(incident.error, 500),
        "hint": escape_hidden(incident.hint, 500),
    }


_INCIDENT_KEYS = (
    "incident",
    "cause",
    "severity",
    "declared",
    "violations",
    "checked",
    "opened_at",
    "resolved_at",
    "systemic",
    "ticket",
    "source",
    "error",
    "hint",
)


def _row(row: TrackedViolation, evidence: Mapping[str, Sequence[Evidence]]) -> dict[str, object]:
    """Return a row; its evidence only where there is some to mail."""
    items = [_evidence(item) for item in evidence.get(row.fingerprint, ())]
    values = _row_values(row)
    return {**values, "evidence": items} if items else values


def _evidence(evidence: Evidence) -> dict[str, object]:
    return {
        "name": escape_hidden(evidence.name),
        "source": escape_hidden(evidence.source),
        "at": evidence.at.isoformat(),
        "rows": [_json_values(row) for row in evidence.rows],
        "more": evidence.more,
        "error": escape_hidden(evidence.error, 500) or None,
    }


def _row_values(row: TrackedViolation) -> dict[str, object]:
    return {
        "key": _json_values(row.key),
        "shown": _json_values(row.shown),
        "since": row.first_seen.isoformat(),
        "resolution": row.resolution.value if row.resolution is not None else None,
    }


def _time(when: datetime | None) -> str | None:
    return when.isoformat() if when is not None else None


def _json_values(values: Mapping[str, Value]) -> dict[str, object]:
    return {escape_hidden(name): _json_value(value) for name, value in values.items()}


def _json_value(value: Value) -> object:
    match value:
        case None | bool():
            return value
        case int() if abs(value) <= _LARGEST_EXACT:
            return value
        case float() if math.isfinite(value):
            return value
        case str():
            return escape_hidden(value)
    return display_value(value)
