"""Announced changes, and rules that were repaired, in both kinds of store."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sanityd.model import AnnouncedChange, Incident, Resolution, Severity
from sanityd.store import announced_changes, incidents, repairs
from sanityd.store.open import Store
from sanityd.store.repairs import RepairRecord

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_what_is_announced_is_active_until_it_ends(store: Store) -> None:
    change = AnnouncedChange(0, "T-1", "ana", "takeover", ("a", "b"), ("app.t",), AT, AT + HOUR)
    with store.write() as connection:
        first = announced_changes.add(connection, change)
        second = announced_changes.add(connection, replace(change, ticket="T-2"))
        assert announced_changes.list_active(connection, AT) == [first, second]
        assert announced_changes.list_active(connection, AT + HOUR) == []
        assert announced_changes.end(connection, first.id, AT)
        assert not announced_changes.end(connection, first.id, AT)
        assert announced_changes.list_active(connection, AT) == [second]
        assert announced_changes.get(connection, first.id) == replace(first, ended_at=AT)
        assert announced_changes.get(connection, 99) is None


def test_repaired_is_what_ended_by_a_repair(store: Store) -> None:
    base = Incident("i", "r", "app", AT, Severity.ERROR, 3, ticket="T-1")
    ended = replace(base, resolved_at=AT + HOUR, resolutions={Resolution.FIXED: 3})
    changed = replace(ended, id="c", rule="q", resolutions={Resolution.RULE_CHANGED: 3})
    again = replace(
        ended, id="j", opened_at=AT + HOUR, resolved_at=AT + 2 * HOUR,
        resolutions={Resolution.ROW_GONE: 1},
    )  # fmt: skip
    with store.write() as connection:
        incidents.save_all(connection, [ended, changed, again])
        assert repairs.repaired_rules(connection, ["r", "q", "x"]) == {
            "r": RepairRecord(2, AT + 2 * HOUR, 4)
        }
        incidents.save(connection, replace(base, id="k", opened_at=AT + 3 * HOUR))
        assert repairs.repaired_rules(connection, ["r"])["r"].is_open
        kept = incidents.get(connection, "i")
        assert kept is not None
        assert kept.ticket == "T-1"
