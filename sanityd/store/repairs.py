"""Rules that were violated and repaired, by their incidents."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from sanityd.model import Cause, Resolution
from sanityd.store.name_list import name_list
from sanityd.store.tables import incidents

#: How rows end that somebody, or the application, repaired.
_REPAIRED = (
    Resolution.FIXED.value,
    Resolution.ROW_GONE.value,
    Resolution.LEFT_SCOPE.value,
    Resolution.NOT_RETURNED.value,
)


@dataclass(frozen=True, slots=True)
class RepairRecord:
    """How often a rule was violated and repaired."""

    #: The number of incidents that ended by a repair.
    times: int
    #: When the last of them ended.
    last_at: datetime
    #: The number of rows that were repaired in them.
    rows: int
    #: Whether the rule is violated now, too.
    is_open: bool = False


def repaired_rules(connection: Connection, rules: Iterable[str]) -> dict[str, RepairRecord]:
    """Return by rule how often these were violated and repaired; those that never were are not in
    it.

    Incidents that ended because a rule was changed or removed don't count.
    """
    names = name_list(connection, rules)
    query = (
        select(incidents.c.rule, incidents.c.resolved_at, incidents.c.resolutions)
        .where(
            incidents.c.cause == Cause.VIOLATED.value,
            incidents.c.rule.in_(select(names.c.value)),
        )
        .order_by(incidents.c.opened_at)
    )
    records: dict[str, RepairRecord] = {}
    violated = set()
    for rule, resolved_at, resolutions in connection.execute(query):
        if resolved_at is None:
            violated.add(rule)
            continue
        if _is_closed(resolutions):
            continue
        before = records.get(rule)
        rows = _repaired_rows(resolutions)
        if before is None:
            records[rule] = RepairRecord(1, resolved_at, rows)
        else:
            latest = max(before.last_at, resolved_at)
            records[rule] = RepairRecord(before.times + 1, latest, before.rows + rows)
    for rule in violated & records.keys():
        record = records[rule]
        records[rule] = RepairRecord(record.times, record.last_at, record.rows, is_open=True)
    return records


def _is_closed(resolutions: Mapping[str, int]) -> bool:
    """Return whether an incident ended by the rules file; nobody checked that it is repaired."""
    closed = (Resolution.RULE_CHANGED.value, Resolution.RULE_REMOVED.value)
    return any(resolution in resolutions for resolution in closed)


def _repaired_rows(resolutions: Mapping[str, int]) -> int:
    return sum(resolutions.get(resolution, 0) for resolution in _REPAIRED)
