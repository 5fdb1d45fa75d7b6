"""Read: how many rows are new to a recipient since the last mail about their incident."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection

from sanityd.model import Incident
from sanityd.notifications.recipients import recipients
from sanityd.rules.rule import RuleSet
from sanityd.store import violations
from sanityd.store.incidents import IncidentRecipient
from sanityd.store.notification_log import DeliveryState


def count_new_rows(
    connection: Connection,
    rules: RuleSet,
    counted: Iterable[Incident],
    delivery_states: Mapping[IncidentRecipient, DeliveryState],
    at: datetime,
) -> dict[IncidentRecipient, int]:
    """Return how many open rows of an incident its recipient was not notified of.

    Only of open incidents whose last mail to that recipient is older than `update_every`; rows that
    people accepted are not counted. Parameters: `counted` are the incidents as they count today;
    `delivery_states` say when each recipient was notified last.
    """
    notified_at: dict[IncidentRecipient, tuple[str, datetime]] = {}
    for incident in counted:
        if not incident.open:
            continue
        for recipient in recipients(rules, incident):
            key = (incident.id, *recipient)
            last = delivery_states.get(key, DeliveryState()).last_notification
            if last is None or last.at is None or at - last.at < rules.alerts.update_every:
                continue
            notified_at[key] = (incident.rule, last.at)
    return _count_new_rows(connection, notified_at, at)


def _count_new_rows(
    connection: Connection,
    notified_at: Mapping[IncidentRecipient, tuple[str, datetime]],
    at: datetime,
) -> dict[IncidentRecipient, int]:
    """Return the number of open rows of a rule first seen since a time, for each key.

    One statement for all. Parameters: `notified_at` are the rule and the time, by key.
    """
    if not notified_at:
        return {}
    rules = {rule for rule, _ in notified_at.values()}
    earliest = min(since for _, since in notified_at.values())
    by_rule = violations.new_since(connection, rules, earliest, at)
    new_rows = {}
    for key, (rule, since) in notified_at.items():
        counts = by_rule.get(rule, {})
        new_rows[key] = sum(rows for seen, rows in counts.items() if seen > since)
    return new_rows
