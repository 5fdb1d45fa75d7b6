"""An announced mass change is one fault of its ticket and one mail, and ends by itself."""

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import sanityd
from sanityd.model import Cause
from sanityd.notifications import timeline
from tests.support.project import Project
from tests.support.scene import ADULTS, Scene, events
from tests.support.smtp_server import Mailbox

EMAILS = {"table": "app.mails", "key": "id", "references": {"person_id": "people.id"}}


def announce(scene: Scene, **given: Any) -> sanityd.Announcement:
    scene.load()
    url = scene.store.engine.url.render_as_string(hide_password=False)
    monitor = sanityd.open(scene.folder / scene.name, env={"SANITYD_STATE": url})
    words = {"for_": "2h", "reason": "takeover", "by": "ana", **given}
    return monitor.expecting("IMPORT-42", **words)


@pytest.fixture
def two(scene: Scene) -> Scene:
    """Two rules about people, one of them by another table."""
    scene.sql("CREATE TABLE mails (id INTEGER PRIMARY KEY, person_id INTEGER)")
    scene.rules = {"adults": dict(ADULTS), "known": dict(EMAILS)}
    return scene


def test_what_opens_is_one_fault_of_the_ticket_and_one_mail(two: Scene, box: Mailbox) -> None:
    with announce(two, tables=["app.people"]) as announced:
        assert announced.rules == ("adults", "known")
        two.children(1, 2, 3)
    two.look()
    two.sql("INSERT INTO mails VALUES (1, 99)")
    two.look(30)
    two.mail()
    assert events(box) == []
    incident = two.incident()
    assert incident is not None
    assert (incident.ticket, incident.systemic) == ("IMPORT-42", True)
    two.wait(hours=2)
    [(_, mail)] = box.mails
    assert mail["Subject"].startswith("[ERROR, SYSTEMIC, IMPORT-42] 2 ")
    text = mail.get_body(("plain",))
    assert text is not None
    assert "It belongs to IMPORT-42" in text.get_content()
    two.look()
    two.mail()
    assert len(box.mails) == 1


def test_what_is_critical_is_told_at_once_and_once(two: Scene, box: Mailbox) -> None:
    two.rules["adults"]["severity"] = "critical"
    announce(two, rules=["adults"]).__enter__()
    for count in (2, 5, 9):
        two.children(*range(1, count))
        two.look(20)
        two.mail()
    assert events(box) == [("ada", "opened")]
    two.wait(hours=2)
    # It is much more by now, which is news when the change is over.
    assert events(box) == [("ada", "opened"), ("ada", "escalated")]


def test_the_end_of_what_was_told_is_told_at_once(two: Scene, box: Mailbox) -> None:
    two.rules["adults"]["severity"] = "critical"
    with announce(two, rules=["adults"]):
        for rows in ([1], []):
            two.children(*rows)
            two.look()
            two.mail()
    assert events(box) == [("ada", "opened"), ("ada", "resolved")]


def test_it_ends_by_its_time_though_the_block_failed(two: Scene, box: Mailbox) -> None:
    with pytest.raises(ZeroDivisionError), announce(two, tables=["people"]):
        raise ZeroDivisionError
    two.children(1)
    two.look(119)
    assert events(box) == []
    two.wait(minutes=2)
    assert events(box) == [("ada", "opened")]
    two.children()
    two.look()
    two.children(2)
    two.look()
    after = two.incident()
    assert after is not None
    assert after.ticket == ""
    with two.store.read() as connection:
        told = timeline.events_since(
            connection, "adults", datetime.now(UTC) - timedelta(days=1), lambda *_: "1 person"
        )
    assert [event.what for event in told if "announced" in event.what] == [
        "announced until 2026-11-23 10:00",
        "failed in the announced change",
        "violated: 1 person, error, announced as IMPORT-42",
        "not notified: announced",
    ]


def test_faults_and_other_rules_are_told_as_ever(two: Scene, box: Mailbox) -> None:
    with announce(two, rules=["known"]):
        two.children(1)
        two.sql("DROP TABLE mails")
    two.look()
    two.mail()
    assert sorted(events(box)) == [("ada", "errored"), ("ada", "opened")]
    fault = two.incident("known", Cause.ERRORED)
    assert fault is not None
    assert fault.ticket == ""


def test_what_was_open_before_belongs_to_it_when_it_grows(two: Scene, box: Mailbox) -> None:
    two.children(1)
    two.look()
    two.mail()
    with announce(two, rules=["ad*"]) as announced:
        two.children(1, 2, 3, 4)
        two.look(30)
        two.mail()
        assert events(box) == [("ada", "opened")]
        announced.end()
    two.wait(minutes=1)
    assert events(box) == [("ada", "opened"), ("ada", "escalated")]
    assert "IMPORT-42" in box.mails[-1][1]["Subject"]


def test_a_ticket_that_is_announced_again_holds_back_nothing_of_other_rules(
    two: Scene, box: Mailbox
) -> None:
    with announce(two, rules=["adults"]) as first:
        two.children(1)
        two.look()
    first.end("the import is done")
    announce(two, rules=["known"]).__enter__()
    two.wait(minutes=1)
    assert events(box) == [("ada", "opened")]


def test_who_ends_it_says_why(two: Scene) -> None:
    with (
        announce(two, rules=["adults"]) as announced,
        pytest.raises(sanityd.SanitydError, match="there is no reason"),
    ):
        announced.end(" ")


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({}, "no rule is concerned"),
        ({"rules": ["adult"]}, "there is no rule `adult`"),
        ({"tables": ["app.peple"]}, "no rule reads the table `app.peple`"),
        ({"rules": ["adults"], "for_": "2 fortnights"}, "not a duration"),
        ({"rules": ["adults"], "for_": timedelta(0)}, "the end is in the past"),
        ({"rules": ["adults"], "for_": "300d"}, "may last"),
        ({"rules": ["adults"], "reason": " "}, "there is no reason"),
        ({"tables": "app.people"}, "`tables` is a text"),
        ({"tables": [None]}, "`tables` must be text"),
        ({"rules": ["adults"], "for_": 5}, "neither a text nor a timedelta"),
        ({"rules": ["adults"], "by": 5}, "`by` must be text"),
    ],
)
def test_a_wrong_announcement_begins_nothing(two: Scene, given: dict[str, Any], what: str) -> None:
    with pytest.raises(sanityd.SanitydError, match=what), announce(two, **given):
        pytest.fail("it began")


def test_a_killed_import_leaves_it_ending_by_its_time(project: Project) -> None:
    code = (
        "import os, signal, sanityd\n"
        "with sanityd.expecting('IMPORT-42', tables=['people'], for_='2h', reason='r', by='ana'):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], cwd=project.folder, check=False)
    assert killed.returncode == -signal.SIGKILL
    [(left,)] = project.state(
        "SELECT CAST((julianday(until) - julianday(starts)) * 24 * 60 + 0.5 AS INTEGER)"
        " FROM announced_changes WHERE ended_at IS NULL"
    )
    assert left == 120
    assert project.state("SELECT action FROM audit WHERE action LIKE '%announced%'") == [
        ("announced",),
        ("announced",),
    ]


def test_the_command_does_the_same(project: Project) -> None:
    words = ("expect", "IMPORT-42", "--table", "app.people", "--for", "2h", "--reason", "takeover")
    answer = project.run(*words, "--by", "ana")
    assert answer.code == 0, answer.err
    assert "Announced change 1: IMPORT-42, 2 rules, until" in answer.out
    assert "IMPORT-42" in project.run("expect", "--list").out
    assert "announced: IMPORT-42 until" in project.run("status").out
    project.sql("UPDATE mails SET status = 'queued' WHERE person_id < 50")
    assert project.run("check").code == 1  # nothing waits for the mail server
    shown = project.run("show", "every-person-has-a-welcome-mail").out
    assert "belongs to IMPORT-42, a change that was announced" in shown
    assert "not notified: announced" in shown
    assert "there is no reason" in project.run("expect", "--end", "1").err
    assert project.run("expect", "--end", "1", "--reason", "done").code == 0
    assert "No change is announced" in project.run("expect", "--list").out
    assert project.run("expect", "--end", "1", "--reason", "done").code == 3
    assert project.run("expect", "X", "--table", "app.peeple", "--for", "2h").code == 2
    assert project.run("expect", "X", "--table", "app.people").code == 2
