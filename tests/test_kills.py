"""SIGKILL at every step from "rows read" to "mail sent": nothing is lost, and nothing doubled but by a lost answer."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.forked import Death
from tests.project import Project
from tests.smtp_server import HANG, Script, scripted, working

STEPS = [
    ("sanityd.pipeline", "evaluate"),
    ("sanityd.store.violations", "apply"),
    ("sanityd.store.incidents", "save"),
    ("sanityd.store.runs", "record"),
    ("sanityd.store.outbox", "enqueue"),
    ("sanityd.pipeline", "record"),
    ("sanityd.pipeline", "run_batch"),
    ("sanityd.store.outbox", "Outbox.claim"),
    ("sanityd.alerts.channels.email", "Email.deliver"),
    ("sanityd.store.outbox", "Outbox.sent"),
]


QUESTIONS = [
    "PRAGMA integrity_check",
    "PRAGMA foreign_key_check",
    "SELECT count(*) FROM incidents WHERE resolved_at IS NULL",
    "SELECT count(*) FROM violations WHERE open",
    "SELECT count(*) FROM outbox WHERE state <> 'sent'",
]


def die(project: Project, url: str, module: str, name: str, when: str, times: int = 1) -> None:
    """A pass that kills itself there."""
    ended = project.die(Death(module, name, when, times), SMTP_URL=url)
    assert ended.code == -signal.SIGKILL, ended.err


def revive(project: Project, url: str) -> None:
    """Passes of a healthy process, after the dead one's leases have ended."""
    project.state("UPDATE outbox SET leased_until = '2020-01-01 00:00:00', not_before = '2020-01-01 00:00:00'")
    for _ in range(2):
        project.run("check", SMTP_URL=url)


def whole(project: Project, incidents: int = 1, rows: int = 3) -> bool:
    """Whether the store is sound, holds what is open exactly once, and has nothing left to send."""
    return [project.state(question) for question in QUESTIONS] == [[("ok",)], [], [(incidents,)], [(rows,)], [(0,)]]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("module", "name"), STEPS, ids=[name for _, name in STEPS])
def test_whoever_dies_where_ever_the_mail_arrives(
    project: Project, lose_mails: Callable[[], None], module: str, name: str, when: str
) -> None:
    """Twice only where the server had taken it and nobody could write that down; then under the same Message-ID."""
    lose_mails()
    with working() as box:
        url = f"smtp://127.0.0.1:{box.port}"
        die(project, url, module, name, when)
        before = len(box.mails)
        revive(project, url)
        opened = [mail for _, mail in box.mails if mail["X-Sanityd-Event"] == "opened"]
    assert len({mail["Message-ID"] for mail in opened}) == 1
    answer_lost = (name, when) in (("Email.deliver", "after"), ("Outbox.sent", "before"))
    assert (before, len(opened)) == (1, 2) if answer_lost else (before <= 1, len(opened)) == (True, 1)
    assert whole(project)
    assert "ongoing" in project.run("check", SMTP_URL="smtp://127.0.0.1:1").out


#: What smtplib sends, in order: EHLO, MAIL, RCPT, DATA, the mail, the dot.
MAIL_SENT, DOT_SENT = 5, 6


@pytest.mark.parametrize(
    ("when", "write", "copies"), [("before", MAIL_SENT, 1), ("after", MAIL_SENT, 1), ("after", DOT_SENT, 2)]
)
def test_only_who_dies_after_the_dot_mails_twice(
    project: Project, lose_mails: Callable[[], None], when: str, write: int, copies: int
) -> None:
    """The server throws away a mail without its dot, so it must come again; one with it came, so it comes twice."""
    lose_mails()
    with working() as box:
        url = f"smtp://127.0.0.1:{box.port}"
        die(project, url, "smtplib", "SMTP.send", when, write)
        revive(project, url)
    assert [mail["X-Sanityd-Event"] for _, mail in box.mails] == ["opened"] * copies
    assert len({mail["Message-ID"] for _, mail in box.mails}) == 1
    assert whole(project)


@pytest.mark.parametrize("name", ["enqueue", "Outbox.claim"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_who_dies_before_the_end_is_told_tells_it_later(
    project: Project, lose_mails: Callable[[], None], name: str, when: str
) -> None:
    lose_mails()
    with working() as box:
        url = f"smtp://127.0.0.1:{box.port}"
        project.run("check", SMTP_URL=url)
        project.sql("UPDATE mails SET status = 'sent'")
        die(project, url, "sanityd.store.outbox", name, when)
        revive(project, url)
    assert [mail["X-Sanityd-Event"] for _, mail in box.mails] == ["opened", "resolved"]
    assert whole(project, incidents=0, rows=0)


def begin(project: Project, port: int) -> "subprocess.Popen[bytes]":
    """A pass that the test kills."""
    return subprocess.Popen(
        [sys.executable, "-m", "sanityd", "check"],
        cwd=project.folder, env={**os.environ, "SMTP_URL": f"smtp://127.0.0.1:{port}"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def kill(process: "subprocess.Popen[bytes]") -> None:
    """With SIGKILL, in the middle of what it does."""
    assert process.poll() is None
    process.kill()
    process.wait(10)


def wait_for_verb(server: Script, verb: str) -> None:
    """Until the server has heard it, and says nothing. The dot follows the last boundary of the mail."""
    until = time.monotonic() + 30
    while not (server.body.endswith(b"--\r\n") if verb == "dot" else verb in server.verbs):
        assert time.monotonic() < until, server.verbs
        time.sleep(0.02)


def test_who_dies_before_the_greeting_loses_nothing(project: Project, lose_mails: Callable[[], None]) -> None:
    lose_mails()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        process = begin(project, listener.getsockname()[1])
        connection, _ = listener.accept()
        with connection:
            kill(process)
    with working() as box:
        revive(project, f"smtp://127.0.0.1:{box.port}")
    assert [mail["X-Sanityd-Event"] for _, mail in box.mails] == ["opened"]
    assert whole(project)


@pytest.mark.parametrize("verb", ["ehlo", "mail", "rcpt", "data", "dot"])
def test_who_dies_in_the_middle_of_a_conversation_loses_nothing(
    project: Project, lose_mails: Callable[[], None], verb: str
) -> None:
    lose_mails()
    with scripted(**{verb: HANG}) as server:
        process = begin(project, server.port)
        wait_for_verb(server, verb)
        kill(process)
    with working() as box:
        revive(project, f"smtp://127.0.0.1:{box.port}")
    [(_, mail)] = box.mails
    assert mail["X-Sanityd-Event"] == "opened"
    assert (mail["Message-ID"].encode() in server.body) == (verb == "dot")
    assert whole(project)
