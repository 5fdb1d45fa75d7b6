"""Incidents: what is kept, and that at most one of each cause is open per rule."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sanityd.errors import StoreError
from sanityd.model import Cause, Incident, Reason, Resolution, Severity
from sanityd.store import incidents
from sanityd.store.open import Store

AT = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
FIRST = Incident(
    "one",
    "r",
    "app",
    AT,
    Severity.ERROR,
    3,
    checked=10,
    resolutions={Resolution.FIXED: 2},
    meaning="m",
)


def save(store: Store, incident: Incident) -> None:
    """In a transaction of its own."""
    with store.write() as memory:
        incidents.save(memory, incident)


def test_an_incident_comes_back_as_it_was(store: Store) -> None:
    save(store, FIRST)
    with store.read() as memory:
        assert incidents.open_for(memory, "r") == FIRST
        assert incidents.get(memory, "one") == FIRST
        assert incidents.get(memory, "two") is None


def test_an_incident_is_kept_as_it_is_now(store: Store) -> None:
    save(store, FIRST)
    over = replace(
        FIRST, resolved_at=AT + timedelta(hours=1), severity=Severity.CRITICAL, violations=0
    )
    save(store, over)
    with store.read() as memory:
        assert (incidents.open_for(memory, "r"), incidents.get(memory, "one")) == (None, over)


def test_the_database_itself_refuses_a_second_open_incident(store: Store) -> None:
    save(store, FIRST)
    with pytest.raises(StoreError, match=r"IntegrityError|UniqueViolation"):
        save(store, replace(FIRST, id="two"))
    with store.read() as memory:
        assert incidents.get(memory, "two") is None
    save(store, replace(FIRST, resolved_at=AT))
    save(store, replace(FIRST, id="two"))


def test_what_is_open_is_listed_oldest_first(store: Store) -> None:
    save(store, FIRST)
    save(store, replace(FIRST, id="two", rule="other", opened_at=AT - timedelta(days=1)))
    save(store, replace(FIRST, id="three", rule="third", resolved_at=AT))
    with store.read() as memory:
        assert [incident.id for incident in incidents.list_open(memory)] == ["two", "one"]


def test_a_rule_that_is_violated_may_also_be_one_that_cant_be_checked(store: Store) -> None:
    save(store, FIRST)
    broken = replace(
        FIRST, id="two", cause=Cause.ERRORED, error="no such column", hint="look", violations=0
    )
    save(store, broken)
    with store.read() as memory:
        assert incidents.open_for(memory, "r", Cause.ERRORED) == broken
        assert incidents.open_for(memory, "r") == FIRST


def test_what_is_over_is_settled_once_and_what_is_open_never(store: Store) -> None:
    save(store, FIRST)
    save(store, replace(FIRST, id="two", rule="other", resolved_at=AT))
    with store.write() as memory:
        for name in ("one", "two"):
            incidents.mark_settled(memory, name)
        assert [incident.id for incident in incidents.list_unsettled(memory)] == ["one"]
        incidents.mark_unsettled(memory, ["two"])
        assert [incident.id for incident in incidents.list_unsettled(memory)] == ["one", "two"]


def test_the_last_decision_about_each_recipient_is_known(store: Store) -> None:
    ear = ("one", "team", "ada@x.io")
    with store.write() as memory:
        incidents.save_decision(memory, ear, Reason.OPENED, AT)
        incidents.save_decision(memory, ear, Reason.SILENCED, AT)
        assert incidents.last_decisions(memory, ["one"]) == {ear: Reason.SILENCED}
