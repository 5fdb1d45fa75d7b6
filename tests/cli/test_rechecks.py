"""`sanityd check` waits at most once for what must be confirmed, and says for what."""

import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from sanityd import clock, pipeline
from sanityd.api.rechecks import Rechecks
from sanityd.authoring.demo.catcher import Catcher
from sanityd.cli.recheck_wait import describe, wait
from sanityd.rules.load import load
from tests.support.project import Project

RULES = """\
sources: {app: sqlite:///app.db, mail: sqlite:///mail.db, shop: sqlite:///shop.db}
channels:
  team: {email: team@example.com, server: "${SMTP_URL:-smtp://127.0.0.1:1}", from: sanity@example.com}
defaults: {notify: team}
rules:
  mailed: {table: app.clients, has: {in: mail.mails, on: {id: person_id}}, confirm: again after WAIT}
  adults: {table: app.clients, between: {age: [18, 150]}, severity: critical}
  known: {table: mail.mails, references: {person_id: app.clients.id}, confirm: again after WAIT}
  buyers: {table: shop.orders, references: {person_id: app.clients.id}, confirm: again after WAIT}
  paid: {table: shop.orders, has: {in: mail.mails, on: {person_id: person_id}}, confirm: again after WAIT}
"""
DATA = {
    "app.db": "CREATE TABLE clients (id INTEGER PRIMARY KEY, age INTEGER);"
    "INSERT INTO clients VALUES (1, 5), (2, 30)",
    "mail.db": "CREATE TABLE mails (id INTEGER PRIMARY KEY, person_id INTEGER);"
    "INSERT INTO mails VALUES (1, 2), (2, 9)",
    "shop.db": "CREATE TABLE orders (id INTEGER PRIMARY KEY, person_id INTEGER);"
    "INSERT INTO orders VALUES (1, 1), (2, 8)",
}


def sql(folder: Path, database: str, said: str) -> None:
    """Do something to the data."""
    with closing(sqlite3.connect(folder / database)) as connection:
        connection.executescript(said)


@pytest.fixture
def three(project: Project) -> Project:
    """Three databases that disagree; what must be confirmed waits for two seconds."""
    for database, said in DATA.items():
        sql(project.folder, database, said)
    project.rules(RULES.replace("WAIT", "2s"))
    return project


def verdicts(out: str) -> dict[str, tuple[str, int]]:
    """What the JSON says of each rule."""
    return {rule["id"]: (rule["outcome"], rule["violations"]) for rule in json.loads(out)["rules"]}


FOUND = {
    "mailed": ("failed", 1),
    "adults": ("failed", 1),
    "known": ("failed", 1),
    "buyers": ("failed", 1),
    "paid": ("failed", 2),
}


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_it_waits_once_for_all_sources_and_reports_every_rule(
    three: Project, tmp_path: Path, dry: tuple[str, ...]
) -> None:
    with Catcher(tmp_path) as catcher:
        answer = three.run("check", "--format", "json", *dry, SMTP_URL=catcher.url)
    assert (answer.code, answer.err) == (1, "")
    assert verdicts(answer.out) == FOUND
    assert list(verdicts(answer.out)) == list(FOUND)
    # Three sources have rules to confirm; one after the other would be six seconds.
    seconds = json.loads(answer.out)["summary"]["seconds"]
    assert seconds >= 2
    assert told(catcher) == ([] if dry else sorted(FOUND))


def test_the_wait_is_one(three: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    paused: list[float] = []
    monkeypatch.setattr(clock, "pause", lambda seconds, *_: paused.append(seconds))
    waits = Rechecks()
    rules = load(three.folder / "rules.yaml", {})
    for batch in rules.by_source(rules.enabled()).values():
        for run in pipeline.evaluate(rules, batch, clock.now()):
            if run.unconfirmed:
                waits.add(rules.rules[run.rule], run)
    wait(waits)
    assert [rule.id for rule in waits.rules] == ["mailed", "known", "buyers", "paid"]
    assert sum(paused) <= 2
    assert describe(waits.rules) == (
        "waiting to read 4 rules of app, mail, shop once more: mailed, known, buyers and 1 more"
    )
    assert describe(waits.rules[:1]) == "waiting to read 1 rule of app, mail once more: mailed"


def test_nothing_to_confirm_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "pause", lambda *_: pytest.fail("it waited"))
    wait(Rechecks())


def told(catcher: Catcher) -> list[str]:
    """The rules that were mailed, as often as they were."""
    rules: list[str] = []
    for mail in catcher.mails:
        rules += mail["X-Sanityd-Rule"].replace(",", " ").split()
    return sorted(rules)


def begin(project: Project, url: str) -> "subprocess.Popen[str]":
    """A pass in a process of its own."""
    words = [sys.executable, "-m", "sanityd", "check"]
    return subprocess.Popen(
        words,
        cwd=project.folder,
        env={**os.environ, "SMTP_URL": url},
        stdout=subprocess.DEVNULL,
        text=True,
    )


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_who_is_killed_while_waiting_has_mailed_the_rest_and_loses_and_doubles_nothing(
    three: Project, tmp_path: Path, how: signal.Signals
) -> None:
    three.rules(RULES.replace("WAIT", "1m"))
    with Catcher(tmp_path) as catcher:
        process = begin(three, catcher.url)
        three.wait_for("SELECT count(*) FROM pending_confirmations", 4, seconds=60)
        three.wait_for("SELECT count(*) FROM outbox WHERE state = 'sent'", 1, seconds=60)
        process.send_signal(how)
        assert process.wait(timeout=10) == -how
        assert [mail["X-Sanityd-Rule"] for mail in catcher.mails] == ["adults"]
        assert three.state("SELECT rule FROM runs") == [("adults",)]
        # As if a minute had gone by.
        three.state("UPDATE pending_confirmations SET due_at = at")
        answer = three.run("check", "--format", "json", SMTP_URL=catcher.url)
        assert verdicts(answer.out) == FOUND
        assert json.loads(answer.out)["summary"]["seconds"] < 60
        again = three.run("check", SMTP_URL=catcher.url)
    assert (answer.code, again.code) == (1, 1)
    assert three.state("SELECT count(*) FROM incidents") == [(5,)]
    assert {mail["X-Sanityd-Event"] for mail in catcher.mails} == {"opened"}
    assert told(catcher) == sorted(FOUND)
    assert three.state("SELECT count(*) FROM pending_confirmations") == [(0,)]


def test_on_a_terminal_it_says_what_it_waits_for(three: Project) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "sanityd", "check", "--dry-run"],
        cwd=three.folder,
        env={**os.environ, "COLUMNS": "120", "TERM": "xterm"},
        stdout=subprocess.DEVNULL,
        stderr=follower,
    )
    os.close(follower)
    shown = b""
    with suppress(OSError):
        while chunk := os.read(leader, 1000):
            shown += chunk
    os.close(leader)
    assert process.wait() == 1
    assert b"waiting to read 4 rules of app, mail, shop once more" in shown


def serve(project: Project) -> "subprocess.Popen[str]":
    """A daemon."""
    words = [sys.executable, "-m", "sanityd", "serve"]
    with (project.folder / "log").open("a") as log:
        return subprocess.Popen(words, cwd=project.folder, stderr=log, text=True)


def test_a_daemon_ends_at_once_while_a_recheck_is_to_come(three: Project) -> None:
    """Nobody waits for it in a thread; after the restart it is done."""
    three.rules(RULES.replace("WAIT", "1h"))
    daemon = serve(three)
    try:
        three.wait_for("SELECT count(*) FROM pending_confirmations", 4, seconds=60)
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(timeout=20) == 0
    finally:
        daemon.kill()
        daemon.wait()
    assert "running checks have" in (three.folder / "log").read_text()
    assert three.state("SELECT DISTINCT rule FROM runs") == [("adults",)]
    status = json.loads(three.run("status", "--format", "json").out)
    assert {entry["rule"] for entry in status["pending"]} == {"mailed", "known", "buyers", "paid"}
    assert status["holding"] == []
    assert "mailed: 1 violation to be confirmed at" in three.run("status").out


def test_a_daemon_that_was_killed_before_a_recheck_does_it_after_its_restart(
    three: Project,
) -> None:
    three.rules(RULES.replace("WAIT", "1m"))
    daemon = serve(three)
    try:
        three.wait_for("SELECT count(*) FROM pending_confirmations", 4, seconds=60)
    finally:
        daemon.kill()
        daemon.wait()
    # As if a minute had gone by.
    three.state("UPDATE pending_confirmations SET due_at = at")
    daemon = serve(three)
    try:
        three.wait_for("SELECT count(*) FROM pending_confirmations", 0, seconds=60)
    finally:
        daemon.kill()
        daemon.wait()
    assert three.state("SELECT rule, count(*) FROM incidents GROUP BY rule ORDER BY rule") == [
        (rule, 1) for rule in sorted(FOUND)
    ]
    assert three.state("SELECT count(*) FROM runs WHERE rule = 'mailed'") == [(1,)]
