"""One batch, end to end: a real database, a real store and a real mail server, in a time of the
test's own."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from sanityd import pipeline
from sanityd.errors import StoreError
from sanityd.model import Change, Outcome, Reason, Resolution, Severity, Triage, TriageAction
from sanityd.rules.load import load
from sanityd.store import notification_log, outbox_summary, triage
from tests.support.scene import ADULTS, START, Scene, events
from tests.support.smtp_server import DROP, Mailbox, scripted, working


def test_a_finding_is_mailed_once_however_often_it_is_seen(scene: Scene, box: Mailbox) -> None:
    scene.children(1, 2)
    for _ in range(10):
        scene.tick()
    assert events(box) == [("ada", "opened")]
    scene.children()
    for _ in range(3):
        scene.tick()
    assert events(box) == [("ada", "opened"), ("ada", "resolved")]
    assert scene.incident() is None


def test_a_proof_is_believed_for_a_week_and_then_looked_into(scene: Scene) -> None:
    """Also one that is broken, as an index is after its collation was upgraded; what is found is
    looked at on."""
    scene.rules = {"named": {"table": "app.things", "unique": "name"}}
    scene.sql(
        "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT); CREATE INDEX once ON things (name)"
    )
    scene.sql("INSERT INTO things VALUES (1, 'a'), (2, 'b')")
    assert scene.tick().run.proved_by is None
    scene.sql("UPDATE things SET name = 'a'")
    assert scene.tick().run.violations == 1
    scene.sql("UPDATE things SET name = 'b' WHERE id = 2")
    assert scene.tick().run.violations == 0
    unique = "UPDATE sqlite_master SET sql = replace(sql, 'CREATE INDEX', 'CREATE UNIQUE INDEX') WHERE name = 'once'"
    scene.sql(f"UPDATE things SET name = 'a'; PRAGMA writable_schema = ON; {unique}")
    runs = [scene.tick(24 * 60).run for _ in range(9)]
    assert [run.proved_by for run in runs] == [*["once"] * 6, None, None, None]
    assert [run.violations for run in runs] == [0] * 6 + [1] * 3


def test_each_pass_says_what_changed(scene: Scene) -> None:
    scene.children(1, 2)
    first = scene.tick()
    scene.children(2, 3)
    second = scene.tick()
    scene.sql("DELETE FROM people WHERE id = 3")
    scene.children(1)
    third = scene.tick()
    assert first.changes == {Change.NEW: 2}
    assert second.changes == {Change.ONGOING: 1, Change.NEW: 1, Change.RESOLVED: 1}
    assert third.changes == {Change.REGRESSED: 1, Change.RESOLVED: 2}
    assert third.incident is not None
    assert third.incident.resolutions == {Resolution.FIXED: 2, Resolution.ROW_GONE: 1}


def test_rows_that_took_the_place_of_others_while_nobody_looked_are_told_like_new_ones(
    scene: Scene, box: Mailbox
) -> None:
    scene.rules["adults"]["schedule"] = "every 5m"
    scene.children(1, 2)
    scene.tick()
    scene.children(3, 4)
    scene.tick(minutes=15)
    assert [event for _, event in events(box)] == ["opened", "resolved", "opened"]
    # One interval later it is the usual update, and so it is while a row goes on.
    scene.children(5, 6)
    scene.tick(minutes=5)
    scene.children(6, 7)
    scene.tick(minutes=15)
    assert [event for _, event in events(box)] == ["opened", "resolved", "opened"]


def test_who_acknowledged_an_incident_is_not_woken_by_rows_that_took_its_place(
    scene: Scene, box: Mailbox
) -> None:
    scene.rules["adults"]["schedule"] = "every 5m"
    scene.children(1, 2)
    scene.tick()
    incident = scene.incident()
    assert incident is not None
    decision = Triage(
        0, TriageAction.ACKNOWLEDGED, "adults", incident.id, "bo", "on it", datetime.now(UTC),
        datetime.now(UTC) + timedelta(days=3), 2, Severity.ERROR,
    )  # fmt: skip
    with scene.store.write() as memory:
        triage.add(memory, decision)
    scene.children(3, 4)
    scene.tick(minutes=15)
    assert [event for _, event in events(box)] == ["opened"]


def test_twice_as_many_or_a_higher_severity_is_news(scene: Scene, box: Mailbox) -> None:
    scene.rules["adults"]["severity"] = {"error": 1, "critical": 5}
    for last in (2, 3, 4, 5, 6):
        scene.children(*range(1, last + 1))
        scene.tick()
    assert [mail["Subject"].partition("] ")[0] for _, mail in box.mails] == [
        "[ERROR",
        "[WORSE",
        "[WORSE, CRITICAL",
    ]
    assert [event for _, event in events(box)] == ["opened", "escalated", "escalated"]


@pytest.mark.parametrize("severity", ["info", "warning"])
def test_what_is_less_than_an_error_is_listed_and_never_mailed(
    scene: Scene, box: Mailbox, severity: str
) -> None:
    scene.rules["adults"]["severity"] = severity
    scene.children(1)
    assert scene.tick().reasons == (Reason.BELOW_THRESHOLD,)
    assert scene.rows() == [1]
    scene.children(*range(1, 10))
    assert scene.tick().reasons == (Reason.BELOW_THRESHOLD,)
    scene.children()
    assert scene.tick().reasons == (Reason.NEVER_NOTIFIED,)
    assert box.mails == []


def test_a_finding_that_comes_back_is_mailed_again(scene: Scene, box: Mailbox) -> None:
    for troubled in ([1], [], [1], []):
        scene.children(*troubled)
        scene.tick()
    assert [event for _, event in events(box)] == ["opened", "resolved"] * 2
    assert len({mail["Message-ID"] for _, mail in box.mails}) == 4


def test_one_refused_recipient_does_not_cost_the_others_their_mail(
    scene: Scene, box: Mailbox
) -> None:
    scene.team = ["ada@x.io", "bo@x.io", "cy@x.io"]
    box.refuse["bo@x.io"] = "550 5.1.1 unknown"
    scene.children(1)
    scene.tick()
    scene.children()
    scene.tick()
    assert sorted(events(box)) == [
        ("ada", "opened"),
        ("ada", "resolved"),
        ("cy", "opened"),
        ("cy", "resolved"),
    ]
    with scene.store.read() as memory:
        assert outbox_summary.summary(memory).dead == 1


def test_who_joins_the_team_hears_of_what_is_open_and_who_leaves_of_nothing(
    scene: Scene, box: Mailbox
) -> None:
    scene.children(1)
    scene.tick()
    scene.team = ["bo@x.io"]
    scene.tick()
    scene.children()
    scene.tick()
    assert events(box) == [("ada", "opened"), ("bo", "opened"), ("bo", "resolved")]


def test_a_server_that_was_down_gets_each_mail_once_and_in_order(scene: Scene) -> None:
    scene.children(1)
    scene.tick()
    scene.children(1, 2, 3)
    scene.tick()
    with working() as box:
        scene.port = box.port
        for _ in range(4):
            scene.clock.shift(timedelta(hours=1))
            scene.mail()
    assert events(box) == [("ada", "opened")]
    assert (
        "1 of 10" in box.mails[0][1]["Subject"] + box.mails[0][1].get_body(("plain",)).get_content()  # type: ignore[union-attr]
    )


def test_what_waits_for_one_recipient_goes_out_in_order(scene: Scene) -> None:
    """The answer to the first was lost; it goes out once more before the second is even asked
    for."""
    scene.children(1)
    with scripted(dot=DROP) as server:
        scene.port = server.port
        scene.tick()
    scene.children(1, 2, 3)
    [result] = scene.look(11)
    assert result.reasons == (Reason.WAITING,)
    with working() as box:
        scene.port = box.port
        scene.mail()
        scene.tick(11)
    assert [event for _, event in events(box)] == ["opened", "escalated"]


def test_what_was_over_before_the_server_came_back_is_never_told(scene: Scene) -> None:
    scene.children(1)
    scene.tick()
    scene.children()
    scene.tick()
    with working() as box:
        scene.port = box.port
        scene.clock.shift(timedelta(hours=1))
        scene.mail()
    assert box.mails == []


def test_a_lost_answer_is_tried_once_more_under_the_same_name(scene: Scene) -> None:
    """The server took the mail and died before it said so."""
    scene.children(1)
    with scripted(dot=DROP) as server:
        scene.port = server.port
        scene.tick()
        first = server.body
    with working() as box:
        scene.port = box.port
        for _ in range(3):
            scene.tick(60)
        scene.children()
        scene.tick()
    [(_, again), (_, end)] = box.mails
    assert again["Message-ID"].encode() in first
    assert (again["X-Sanityd-Event"], end["X-Sanityd-Event"]) == ("opened", "resolved")


def test_the_end_is_told_to_whom_the_beginning_may_have_reached(scene: Scene) -> None:
    """Whose first mail may have arrived must hear that it is over, and not that it begins."""
    scene.children(1)
    with scripted(dot=DROP) as server:
        scene.port = server.port
        scene.tick()
    scene.children()
    with working() as box:
        scene.port = box.port
        for _ in range(3):
            scene.tick(60)
    assert events(box) == [("ada", "resolved")]


def test_two_lost_answers_are_enough(scene: Scene) -> None:
    scene.children(1)
    with scripted(dot=DROP) as server:
        scene.port = server.port
        for _ in range(6):
            scene.tick(60)
        assert server.verbs.count("data") == 2


def hang(scene: Scene) -> None:
    """The table becomes one without an end."""
    scene.statement_timeout = "1s"
    endless = "WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id, 30 AS age FROM n"
    scene.sql(f"ALTER TABLE people RENAME TO few; CREATE VIEW people AS {endless}")


FAULTS: dict[str, Callable[[Scene], Any]] = {
    "the file is gone": lambda scene: (scene.folder / "app.db").rename(scene.folder / "away.db"),
    "the file is no database": lambda scene: (scene.folder / "app.db").write_text("x" * 5000),
    "the table is gone": lambda scene: scene.sql("DROP TABLE people"),
    "the column is gone": lambda scene: scene.sql("ALTER TABLE people RENAME COLUMN age TO years"),
    "the table is empty": lambda scene: scene.sql("DELETE FROM people"),
    "the statement takes too long": hang,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_looks_like_resolved(scene: Scene, box: Mailbox, fault: str) -> None:
    scene.children(1, 2)
    scene.tick()
    before = scene.incident()
    FAULTS[fault](scene)
    for _ in range(2):
        result = scene.tick()
    assert result.run.outcome in (Outcome.ERRORED, Outcome.SKIPPED)
    assert result.run.error
    assert (scene.incident(), scene.rows()) == (before, [1, 2])
    # That it can't be seen is told once, and is another incident.
    told = "source_down" if result.run.outcome is Outcome.SKIPPED else "errored"
    assert events(box) == [("ada", "opened"), ("ada", told)]


def test_a_locked_application_resolves_nothing(scene: Scene, box: Mailbox) -> None:
    scene.children(1, 2)
    scene.tick()
    before = scene.incident()
    scene.children()
    with closing(sqlite3.connect(scene.folder / "app.db", isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        result = scene.tick()
    assert result.run.outcome in (Outcome.ERRORED, Outcome.SKIPPED)
    assert (scene.incident(), scene.rows()) == (before, [1, 2])
    scene.tick()
    # The row and the source are good again: one mail says both.
    assert events(box) == [("ada", "opened"), ("ada", "source_down"), ("ada", "resolved")]


BREAK = {
    "sqlite": "CREATE TRIGGER broken BEFORE INSERT ON {0} BEGIN SELECT RAISE(ABORT, 'broken'); END",
    "postgresql": "ALTER TABLE {0} ADD CONSTRAINT broken CHECK (false) NOT VALID",
}
MEND = {"sqlite": "DROP TRIGGER broken", "postgresql": "ALTER TABLE {0} DROP CONSTRAINT broken"}


@pytest.mark.parametrize(
    "table", ["rules_seen", "violations", "incidents", "runs", "outbox", "audit"]
)
def test_a_store_that_breaks_half_way_keeps_nothing_and_loses_nothing(
    scene: Scene, box: Mailbox, table: str
) -> None:
    """All that follows from a look is one transaction: whichever part fails, it is as if nobody had
    looked."""
    scene.children(1)
    kind = scene.store.engine.dialect.name
    with scene.store.write() as memory:
        memory.execute(text(BREAK[kind].format(table)))
    with pytest.raises(StoreError):
        scene.look()
    scene.mail()
    assert (scene.incident(), scene.rows(), box.mails) == (None, [], [])
    with scene.store.write() as memory:
        memory.execute(text(MEND[kind].format(table)))
    scene.tick()
    assert (scene.rows(), events(box)) == ([1], [("ada", "opened")])


@pytest.mark.parametrize("state", ["sqlite"], indirect=True)
def test_a_locked_store_loses_nothing(scene: Scene, box: Mailbox, state: str) -> None:
    scene.children(1)
    scene.tick()
    scene.children()
    with closing(sqlite3.connect(state.removeprefix("sqlite:///"), isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            scene.look()
    assert scene.rows() == [1]
    scene.tick()
    assert events(box) == [("ada", "opened"), ("ada", "resolved")]


def test_a_pass_that_looked_earlier_and_ends_later_is_history_not_news(
    scene: Scene, box: Mailbox
) -> None:
    scene.children()
    early = datetime.now(UTC) + timedelta(minutes=1)
    scene.children(1)
    scene.tick()
    scene.children()
    [late] = scene.look_at(early)
    assert late.reasons == (Reason.UNCHANGED,)
    scene.mail()
    assert scene.rows() == [1]
    assert events(box) == [("ada", "opened")]


def test_a_late_pass_with_yesterdays_rules_closes_nothing(scene: Scene, box: Mailbox) -> None:
    """A pass began, the rule was changed and looked at, and then the first pass ended."""
    scene.children(1)
    scene.tick()
    old, early = scene.load(), datetime.now(UTC) + timedelta(minutes=1)
    scene.rules["adults"]["between"] = {"age": [10, 150]}
    scene.tick()
    before = scene.incident()
    pipeline.run_batch(old, list(old.enabled()), scene.store, early)
    assert scene.incident() == before
    scene.tick()
    assert [event for _, event in events(box)] == ["opened", "opened"]


def test_a_pass_that_is_recorded_twice_tells_once(scene: Scene, box: Mailbox) -> None:
    scene.children(1)
    rules = scene.load()
    batch = list(rules.enabled())
    for _ in range(2):
        pipeline.run_batch(rules, batch, scene.store, START)
    scene.mail()
    assert events(box) == [("ada", "opened")]


def test_a_rule_that_leaves_the_file_is_closed_and_not_called_fixed(
    scene: Scene, box: Mailbox
) -> None:
    scene.children(1)
    opened = scene.tick().incident
    scene.rules = {"other": dict(ADULTS)}
    assert pipeline.forget_removed(scene.load(), scene.store, datetime.now(UTC)) == {"adults": 1}
    assert pipeline.forget_removed(scene.load(), scene.store, datetime.now(UTC)) == {}
    assert (scene.incident(), scene.rows()) == (None, [])
    assert opened is not None
    assert scene.closed(opened.id).resolutions == {Resolution.RULE_REMOVED: 1}
    scene.mail()
    assert events(box) == [("ada", "opened")]


def test_mail_of_a_rule_that_left_the_file_is_not_sent_any_more(scene: Scene) -> None:
    scene.children(1)
    scene.tick()
    scene.rules = {"other": {**ADULTS, "between": {"age": [1, 150]}}}
    pipeline.forget_removed(scene.load(), scene.store, datetime.now(UTC))
    with working() as box:
        scene.port = box.port
        scene.tick(60)
    assert box.mails == []


def test_a_rule_that_means_something_else_begins_anew(scene: Scene, box: Mailbox) -> None:
    scene.children(1)
    opened = scene.tick().incident
    scene.rules["adults"]["between"] = {"age": [40, 150]}
    scene.tick()
    incident = scene.incident()
    assert opened is not None
    assert scene.closed(opened.id).resolutions == {Resolution.RULE_CHANGED: 1}
    assert incident is not None
    assert (incident.violations, incident.resolutions) == (10, {})
    assert events(box) == [("ada", "opened"), ("ada", "opened")]


def test_another_description_changes_nothing(scene: Scene, box: Mailbox) -> None:
    scene.children(1)
    scene.tick()
    before = scene.incident()
    scene.rules["adults"] |= {"why": "The law says so.", "owner": "legal"}
    scene.tick()
    assert scene.incident() == before
    assert len(box.mails) == 1


def test_a_rule_that_is_switched_off_keeps_what_is_open(scene: Scene, box: Mailbox) -> None:
    scene.children(1)
    scene.tick()
    scene.rules["adults"]["enabled"] = False
    assert scene.look() == []
    assert pipeline.forget_removed(scene.load(), scene.store, datetime.now(UTC)) == {}
    assert scene.rows() == [1]
    scene.rules["adults"]["enabled"] = True
    scene.tick()
    scene.children()
    scene.tick()
    assert events(box) == [("ada", "opened"), ("ada", "resolved")]


def test_files_that_share_a_store_leave_each_other_alone(scene: Scene, box: Mailbox) -> None:
    scene.children(1)
    scene.tick()
    scene.name, scene.rules = "others.yaml", {"other-adults": dict(ADULTS)}
    scene.tick()
    assert pipeline.forget_removed(scene.load(), scene.store, datetime.now(UTC)) == {}
    assert (scene.rows(), scene.rows("other-adults")) == ([1], [1])
    assert len(box.mails) == 2


def test_rows_beyond_the_cap_are_counted_and_not_called_resolved(
    scene: Scene, box: Mailbox
) -> None:
    scene.limits = {"tracked_rows": 3}
    scene.children(7, 8, 9)
    scene.tick()
    scene.children(*range(1, 9))
    result = scene.tick(11)
    assert result.run.outcome is Outcome.TRUNCATED
    assert result.run.violations == 8
    assert scene.rows() == [1, 2, 3, 7, 8]
    scene.children()
    scene.tick()
    assert scene.rows() == []
    assert [event for _, event in events(box)] == ["opened", "escalated", "resolved"]


def test_a_thousand_rows_are_followed_and_all_are_counted(scene: Scene, box: Mailbox) -> None:
    scene.sql("INSERT INTO people VALUES " + ", ".join(f"({n}, 30)" for n in range(11, 1501)))
    scene.children(*range(1, 1201))
    first = scene.tick()
    assert (first.run.outcome, first.run.violations, len(scene.rows())) == (
        Outcome.TRUNCATED,
        1200,
        1000,
    )
    scene.children(*range(101, 1201))
    second = scene.tick()
    assert second.run.violations == 1100
    assert (second.changes[Change.RESOLVED], second.changes[Change.FOLLOWED]) == (100, 100)
    assert Change.NEW not in second.changes
    assert scene.rows() == list(range(101, 1101))
    scene.children(*range(1100, 1201))
    assert scene.tick().run.outcome is Outcome.COMPLETE
    assert scene.rows() == list(range(1100, 1201))
    assert [event for _, event in events(box)] == ["opened"]
    assert "1,200" in box.raw[0].decode()


def test_a_ladder_of_shares_is_of_the_rows_in_scope(scene: Scene) -> None:
    scene.rules["adults"] |= {"where": "id <= 5", "severity": {"warning": "20%", "error": "40%"}}
    scene.children(1, 9)
    assert scene.tick().run.severity is Severity.WARNING
    scene.children(1, 2, 9)
    assert scene.tick().run.severity is Severity.ERROR


def test_a_mail_that_was_refused_for_good_is_tried_again_while_its_incident_goes_on(
    scene: Scene, box: Mailbox
) -> None:
    """Ever more rarely; and until it is heard, somebody must know that it isn't."""
    box.refuse["ada@x.io"] = "550 5.1.1 unknown"
    scene.children(1)
    scene.tick()
    for _ in range(10):
        assert scene.tick().queued == 0
    with scene.store.read() as memory:
        assert (
            outbox_summary.summary(memory).dead,
            notification_log.count_undelivered_recipients(memory),
        ) == (
            1,
            1,
        )
    box.refuse.clear()
    assert scene.tick(60).queued == 1
    with scene.store.read() as memory:
        assert notification_log.count_undelivered_recipients(memory) == 0
    scene.tick()
    assert events(box) == [("ada", "opened")]


def test_a_run_of_the_future_does_not_silence_a_rule(scene: Scene, box: Mailbox) -> None:
    """The clock was wrong once."""
    scene.look_at(START + timedelta(days=1000))
    scene.children(1)
    scene.tick()
    assert events(box) == [("ada", "opened")]


def test_a_rule_of_the_same_id_in_another_file_is_refused_aloud(scene: Scene) -> None:
    """Else each would call the other's rows resolved."""
    scene.tick()
    scene.name = "others.yaml"
    with pytest.raises(StoreError, match="another rules file"):
        scene.tick()


def test_a_rule_that_comes_back_after_another_file_took_its_id_is_refused_as_well(
    scene: Scene,
) -> None:
    first, rules = scene.name, scene.rules
    scene.tick()
    scene.rules = {"other": dict(ADULTS)}
    pipeline.forget_removed(scene.load(), scene.store, START)
    scene.name, scene.rules = "others.yaml", rules
    scene.tick()
    scene.name = first
    with pytest.raises(StoreError, match="another rules file"):
        scene.tick()


def test_files_of_one_name_in_two_folders_are_two_in_a_shared_store(
    scene: Scene, box: Mailbox, state: str
) -> None:
    """A healthy application must not end what is open in another one."""
    scene.children(1)
    scene.load()
    other = scene.folder / "other"
    other.mkdir()
    (other / "rules.yaml").write_text((scene.folder / "rules.yaml").read_text())
    shutil.copy(scene.folder / "app.db", other)
    with closing(sqlite3.connect(other / "app.db")) as healthy, healthy:
        healthy.execute("UPDATE people SET age = 30")
    ours, theirs = (
        load(folder / "rules.yaml", {"SANITYD_STATE": state}) for folder in (scene.folder, other)
    )
    pipeline.run_batch(ours, list(ours.enabled()), scene.store, START)
    with pytest.raises(StoreError, match="another rules file"):
        pipeline.run_batch(
            theirs, list(theirs.enabled()), scene.store, START + timedelta(minutes=5)
        )
    assert pipeline.forget_removed(theirs, scene.store, START) == {}
    assert scene.rows() == [1]


def test_a_file_that_moves_can_keep_its_name(scene: Scene, box: Mailbox) -> None:
    scene.children(1)
    scene.title = "people"
    scene.tick()
    scene.name = "moved.yaml"
    scene.tick()
    assert len(box.mails) == 1


def test_what_waits_is_counted_as_queued_once(scene: Scene) -> None:
    scene.children(1)
    assert [scene.tick().queued for _ in range(3)] == [1, 0, 0]


def test_with_two_runs_nobody_hears_of_what_the_next_run_does_not_see(scene: Scene) -> None:
    scene.rules = {"adults": {**ADULTS, "confirm": "2 runs"}}
    scene.children(1)
    [first] = scene.look()
    assert (first.run.verdict, first.run.suspects, first.queued, first.incident) == (
        "passed",
        1,
        0,
        None,
    )
    scene.children(2)
    [second] = scene.look()
    assert (second.run.verdict, second.run.suspects) == ("passed", 1)
    scene.children(2, 3)
    [third] = scene.look()
    assert (third.run.violations, third.run.suspects, third.queued) == (1, 1, 1)
    assert [found.key for found in third.run.tracked] == [{"id": 2}]
    scene.children()
    [fourth] = scene.look()
    assert fourth.incident is not None
    assert not fourth.incident.open


def test_a_run_that_failed_neither_confirms_nor_forgets(scene: Scene) -> None:
    scene.rules = {"adults": {**ADULTS, "confirm": "2 runs"}}
    scene.children(1)
    scene.look()
    scene.sql("ALTER TABLE people RENAME TO persons")
    [broken] = scene.look()
    assert broken.run.outcome is Outcome.ERRORED
    scene.sql("ALTER TABLE persons RENAME TO people")
    assert scene.look()[0].run.violations == 1


def test_a_rule_that_means_something_else_has_no_suspects_yet(scene: Scene) -> None:
    scene.rules = {"adults": {**ADULTS, "confirm": "2 runs"}}
    scene.children(1)
    scene.look()
    scene.rules = {"adults": {**ADULTS, "between": {"age": [17, 150]}, "confirm": "2 runs"}}
    assert scene.look()[0].run.violations == 0
    assert scene.look()[0].run.violations == 1
