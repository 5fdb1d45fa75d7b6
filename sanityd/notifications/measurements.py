"""Reads the measured values of open incidents from the store. Changes nothing."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

from sanityd.model import Cause, Incident, Severity, TrackedViolation
from sanityd.notifications.measured_values import measured_values
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import triage, violations


def values_of_incidents(
    connection: Connection,
    rules: RuleSet,
    counted: Iterable[Incident],
    measured_by_rule: Mapping[str, float | None],
) -> dict[str, dict[str, float]]:
    """Return the wrong values of each incident that is notified at once, by its id.

    Parameters: `measured_by_rule` has what the last runs with an answer measured.
    """
    measured: dict[str, dict[str, float]] = {}
    for incident in counted:
        rule = rules.rules.get(incident.rule)
        if rule is None or not _is_notified_at_once(incident):
            continue
        rows = _rows_with_value(connection, rule)
        values = measured_values(rule, rows, measured_by_rule.get(rule.id))
        if values:
            measured[incident.id] = values
    return measured


def _is_notified_at_once(incident: Incident) -> bool:
    is_violated = incident.open and incident.cause is Cause.VIOLATED
    return is_violated and incident.severity >= Severity.ERROR


def _rows_with_value(connection: Connection, rule: Rule) -> list[TrackedViolation]:
    """Return the open rows that nobody accepted, where they show a measured value."""
    if not rule.shows_measured_value:
        return []
    decisions = triage.list_active(connection, [rule.id])
    accepted = {decision.fingerprint for decision in decisions}
    rows = violations.open_rows(connection, rule.id)
    return [row for row in rows if row.fingerprint not in accepted]
