"""What the store forgets, and what it must not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, select, text

from sanityd.model import AnnouncedChange, Cause, Incident, Outcome, Run, Severity
from sanityd.store import announced_changes, audit, incidents, retention, rule_texts, runs
from sanityd.store.audit_chain import text_digest
from sanityd.store.history_tables import episodes
from sanityd.store.open import Store
from sanityd.store.remedy_tables import remedy_status
from sanityd.store.retention import KEPT, NEWEST
from sanityd.store.tables import days, news, outbox, rules_seen, violations

AT = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
DAY = timedelta(days=1)
OLD = AT - KEPT - DAY


def run(at: datetime, found: int = 0, outcome: Outcome = Outcome.COMPLETE) -> Run:
    """A run of the only rule."""
    severity = Severity.ERROR if found else None
    return Run(
        "r",
        "unique",
        "app",
        at,
        outcome,
        violations=found,
        checked=9,
        severity=severity,
        seconds=0.5,
    )


def record(store: Store, *many: Run) -> None:
    with store.write() as memory:
        runs.record_all(memory, many, revision="1")


def fill(store: Store) -> None:
    """As many new runs as are kept in any case."""
    record(store, *(run(AT - timedelta(minutes=number)) for number in range(NEWEST)))


def count(store: Store, table: str) -> int:
    with store.read() as memory:
        return int(memory.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_old_runs_become_a_row_for_each_day(store: Store) -> None:
    fill(store)
    blind = run(OLD + timedelta(minutes=2), outcome=Outcome.ERRORED)
    record(store, run(OLD, 3), run(OLD + timedelta(minutes=1), 5), blind, run(OLD - DAY))
    done = retention.apply_retention(store, AT)
    assert done is not None
    assert done.runs == 4
    assert count(store, "runs") == NEWEST
    with store.read() as memory:
        before, day = memory.execute(select(days).order_by(days.c.day)).mappings().all()
        assert (day["runs"], day["answered"], day["failed"]) == (3, 2, 2)
        assert (day["most"], day["severity"]) == (5, Severity.ERROR)
        assert (before["runs"], before["failed"], before["severity"], before["seconds"]) == (
            1,
            0,
            None,
            0.5,
        )
        assert runs.first_at(memory) == before["day"]
        assert [one["most"] for one in retention.days_of(memory, "r", OLD - DAY / 2)] == [5]


def test_the_newest_runs_stay_however_old_they_are(store: Store) -> None:
    """Of a rule that runs once a year, and of a store that was switched off for that long."""
    record(store, *(run(AT - KEPT - timedelta(days=2 * number)) for number in range(NEWEST + 9)))
    for number in range(90):
        retention.apply_retention(store, AT + number * DAY)
    assert count(store, "runs") in range(NEWEST, NEWEST + 2)


def test_it_is_done_once_a_day_and_a_second_time_says_nothing(store: Store) -> None:
    fill(store)
    record(store, run(OLD))
    assert retention.apply_retention(store, AT) is not None
    assert retention.apply_retention(store, AT) is None
    assert retention.apply_retention(store, AT + timedelta(hours=19)) is None
    assert retention.apply_retention(store, AT + DAY) is not None


def test_nothing_is_old_in_a_young_store(store: Store) -> None:
    assert retention.apply_retention(store, AT) is None
    fill(store)
    assert retention.apply_retention(store, AT) is None


def test_a_clock_that_is_a_year_ahead_costs_a_week_at_most(store: Store) -> None:
    """And when it is right again, nothing more than that has gone."""
    record(store, *(run(AT - number * DAY) for number in range(KEPT.days + NEWEST)))
    fill(store)
    for number in range(40):
        retention.apply_retention(store, AT + number * DAY)
    before = count(store, "runs")
    retention.apply_retention(store, AT + timedelta(days=365))
    assert before - count(store, "runs") <= retention.AT_ONCE.days
    assert retention.apply_retention(store, AT + 41 * DAY) is None


def test_a_day_that_comes_twice_is_added_up(store: Store) -> None:
    """The clock was set back over it."""
    fill(store)
    record(store, run(OLD, 3))
    retention.apply_retention(store, AT)
    record(store, run(OLD, 2))
    retention.apply_retention(store, AT + DAY)
    with store.read() as memory:
        [day] = memory.execute(select(days)).mappings()
        assert (day["runs"], day["most"], day["severity"]) == (2, 3, Severity.ERROR)


def _violation(store: Store, mark: str, resolved: datetime | None) -> None:
    with store.write() as memory:
        memory.execute(
            insert(violations).values(
                rule="r",
                fingerprint=mark,
                source="app",
                key={"id": 1},
                shown={},
                detail="",
                open=resolved is None,
                first_seen=OLD - DAY,
                last_seen=OLD,
                resolved_at=resolved,
                episodes=1,
            )
        )


def test_rows_that_were_resolved_long_ago_go_and_open_ones_stay(store: Store) -> None:
    fill(store)
    record(store, run(OLD))
    for mark, resolved in (("gone", OLD), ("late", AT - DAY), ("open", None)):
        _violation(store, mark, resolved)
    done = retention.apply_retention(store, AT)
    assert done is not None
    assert done.violations == 1
    with store.read() as memory:
        assert set(memory.execute(select(violations.c.fingerprint)).scalars()) == {"late", "open"}


def _message(store: Store, seq: int, state: str, incident: str) -> None:
    with store.write() as memory:
        memory.execute(
            insert(outbox).values(
                seq=seq,
                dedup_key=str(seq),
                reason="opened",
                severity=30,
                channel="team",
                recipient="ada@example.com",
                message_id=f"<{seq}@x>",
                subject="",
                text="",
                html="",
                headers={},
                data={},
                state=state,
                created_at=OLD,
                not_before=OLD,
                expires_at=OLD + DAY,
                attempts=1,
                fence=1,
                ended_at=None if state in ("pending", "leased") else OLD,
            )
        )
        said = {
            "incident": incident,
            "rule": "r",
            "reason": "opened",
            "severity": 30,
            "violations": 1,
        }
        memory.execute(insert(news).values(message=seq, position=0, **said))


def _incident(store: Store, name: str, resolved: datetime | None) -> None:
    made = Incident(name, f"r-{name}", "app", OLD, Severity.ERROR, 1, 1, cause=Cause.VIOLATED)
    with store.write() as memory:
        incidents.save(memory, made)
        if resolved is not None:
            incidents.save(memory, replace(made, resolved_at=resolved))
            incidents.mark_settled(memory, name)


@pytest.mark.parametrize(
    "state", ["sent", "dead", "cancelled", "superseded", "uncertain", "pending", "leased"]
)
def test_messages_go_when_all_is_over_and_told(store: Store, state: str) -> None:
    """What somebody was told of an incident that goes on decides what they are told next."""
    fill(store)
    record(store, run(OLD))
    _incident(store, "over", OLD)
    _incident(store, "open", None)
    _message(store, 1, state, "over")
    _message(store, 2, state, "open")
    done = retention.apply_retention(store, AT)
    assert done is not None
    waits = state in ("pending", "leased")
    assert done.messages == (0 if waits else 1)
    with store.read() as memory:
        assert set(memory.execute(select(news.c.message)).scalars()) == ({1, 2} if waits else {2})
    assert count(store, "incidents") == 2


def _episode(store: Store, resolved: datetime) -> None:
    with store.write() as memory:
        memory.execute(
            insert(episodes).values(
                rule="r", fingerprint="f", first_seen=OLD - DAY, resolved_at=resolved, detail=""
            )
        )


def test_old_episodes_go_in_small_transactions(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "CHUNK", 2)
    fill(store)
    record(store, run(OLD))
    for resolved in (OLD, OLD, OLD, AT - DAY):
        _episode(store, resolved)
    deleted: list[int] = []

    def note(
        _connection: Any, _cursor: Any, statement: str, rows: Any, _context: Any, _many: bool
    ) -> None:
        if statement.startswith("DELETE FROM episodes"):
            deleted.append(len(rows))

    event.listen(store.engine, "before_cursor_execute", note)
    retention.apply_retention(store, AT)
    assert deleted == [2, 1]
    with store.read() as memory:
        assert memory.execute(select(episodes.c.resolved_at)).scalars().all() == [AT - DAY]


def test_announced_changes_and_the_remedies_of_removed_rules_go(store: Store) -> None:
    fill(store)
    record(store, run(OLD))
    with store.write() as memory:
        for until in (OLD, AT - DAY):
            change = AnnouncedChange(0, "T", "ana", "x", ("r",), (), until - DAY, until)
            announced_changes.add(memory, change)
        for rule, file, removed in (
            ("r", "a", None),
            ("gone", "a", OLD),
            ("late", "a", AT - DAY),
            ("moved", "a", OLD),
            ("moved", "b", None),
        ):
            seen = {"file": file, "rule": rule, "removed_at": removed}
            memory.execute(insert(rules_seen).values(**seen, meaning="", revision="", since=OLD))
        for rule in ("r", "gone", "late", "moved", "not-seen"):
            values = {"rule": rule, "stopped": "", "incident": "", "baseline": 0, "notified": ""}
            memory.execute(insert(remedy_status).values(**values))
    retention.apply_retention(store, AT)
    with store.read() as memory:
        known = set(memory.execute(select(remedy_status.c.rule)).scalars())
        kept = [announced_changes.get(memory, number) is not None for number in (1, 2)]
    assert known == {"r", "late", "moved", "not-seen"}
    assert kept == [False, True]


def test_texts_of_rules_go_with_the_last_entry_that_names_them(store: Store) -> None:
    fill(store)
    record(store, run(OLD))
    texts: list[dict[str, Any]] = [{"rules": {"r": {"never": word}}} for word in ("a", "b", "c")]
    with store.write() as memory:
        rule_texts.save_all(memory, texts)
        for text_of_rule, at in zip(texts, (OLD, OLD, AT - DAY), strict=True):
            detail = {"file": "f", "print": "p", "text": text_digest(text_of_rule)}
            rule = "other" if text_of_rule is texts[1] else "r"
            audit.append(memory, at, "ana", "rule changed", "", rule=rule, detail=detail)
        audit.append(memory, AT - DAY, "ana", "rule removed", "", rule="x", detail={"file": "f"})
    retention.apply_retention(store, AT, KEPT)
    with store.read() as memory:
        stored = [rule_texts.get(memory, text_digest(content)) for content in texts]
    assert stored == [None, texts[1], texts[2]], "retention repeats the newest of each rule"
