"""When sanityd says of itself that it isn't to be trusted: in exactly the cases named, and in no
other."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from sanityd import pipeline
from sanityd.daemon import health, heartbeat
from sanityd.daemon.health import HealthSigns
from sanityd.rules.load import load
from sanityd.rules.rule import RuleSet
from sanityd.store import leases
from sanityd.store.open import Store
from tests.modules.test_telemetry import serving
from tests.support.project import Project

AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
RULES = """\
sources: {app: sqlite:///app.db}
channels: {team: {email: team@example.com, server: "smtp://127.0.0.1:1", from: sanity@example.com}}
alerts: {group_wait: 1s}
defaults: {notify: team}
rules:
  often: {table: app.people, not_null: name, schedule: every 5m}
  daily: {table: app.people, not_null: name, schedule: daily at 07:30}
  never: {table: app.people, not_null: name, schedule: manual}
"""


@pytest.fixture
def rules(project: Project) -> RuleSet:
    """Three rules, which hold."""
    project.rules(RULES)
    return load(project.folder / "rules.yaml", {})


@pytest.fixture
def store(rules: RuleSet) -> Iterator[Store]:
    """The memory of a daemon that has just been alive, and has looked at all rules."""
    with closing(Store.open(None, rules.folder)) as opened:
        pipeline.run_batch(rules, rules.enabled(), opened, AT)
        with opened.write() as memory:
            leases.acquire(memory, rules.name, "me", AT)
        yield opened


def complaints(
    store: Store, rules: RuleSet, at: datetime, alive: datetime | None = None
) -> tuple[str, ...]:
    """What is wrong at that time, if the scheduler was alive then, or at another time."""
    with store.write() as memory:
        leases.acquire(memory, rules.name, "me", alive or at)
    with store.read() as memory:
        return health.health_signs(memory, rules, at).complaints(at)


def test_all_is_well(store: Store, rules: RuleSet) -> None:
    assert complaints(store, rules, AT + MINUTE) == ()


@pytest.mark.parametrize(
    ("ago", "well"), [(2 * MINUTE, True), (2 * MINUTE + SECOND, False), (-3 * MINUTE, False)]
)
def test_the_scheduler_must_have_been_alive_within_two_minutes(
    store: Store, rules: RuleSet, ago: timedelta, well: bool
) -> None:
    at = AT + 5 * MINUTE
    assert (complaints(store, rules, at, at - ago) == ()) is well


@pytest.mark.parametrize(
    ("back", "said"), [(2 * MINUTE, False), (3 * MINUTE, True), (50 * MINUTE, True)]
)
def test_after_the_clock_was_set_back_runs_are_said_to_be_passed_over(
    store: Store, rules: RuleSet, back: timedelta, said: bool
) -> None:
    """A run that lies before the last one is only history."""
    told = complaints(store, rules, AT - back)
    assert any("the clock was set back" in words for words in told) is said


@pytest.mark.parametrize(
    ("later", "rule"), [(15 * MINUTE, ""), (16 * MINUTE, "often"), (72 * HOUR, "often")]
)
def test_a_rule_may_miss_two_intervals_and_not_three(
    store: Store, rules: RuleSet, later: timedelta, rule: str
) -> None:
    with store.read() as memory:
        overdue = health.health_signs(memory, rules, AT + later).overdue
    assert overdue[:1] == ((rule,) if rule else ())
    assert ("daily" in overdue) == (later > 70 * HOUR)
    assert "never" not in overdue


def test_a_message_may_wait_for_a_quarter_of_an_hour(
    store: Store, rules: RuleSet, project: Project
) -> None:
    project.sql("UPDATE people SET name = NULL WHERE id = 7")
    pipeline.run_batch(rules, rules.enabled(), store, AT + MINUTE)
    assert complaints(store, rules, AT + 16 * MINUTE) == ()
    assert complaints(store, rules, AT + 17 * MINUTE + SECOND) != ()


def test_where_no_daemon_ever_was_none_is_missed(rules: RuleSet) -> None:
    assert HealthSigns().complaints(AT) == ()
    assert HealthSigns(overdue=("a", "b")).complaints(AT) == (
        "rule `a` and 1 more was not checked for 3 intervals",
    )


def test_a_broken_rule_or_source_is_no_complaint(
    store: Store, rules: RuleSet, project: Project
) -> None:
    """These have mails of their own; the watchman is about whether these would come."""
    (project.folder / "app.db").unlink()
    pipeline.run_batch(rules, rules.enabled(), store, AT + MINUTE)
    assert complaints(store, rules, AT + 2 * MINUTE) == ()
    with store.read() as memory:
        assert health.health_signs(memory, rules, AT + 2 * MINUTE).down == ("app",)


class _Pings(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.paths.append(self.path)  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def pinged(status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """Somebody who waits for heartbeats: the URL, and what was asked for."""
    server = HTTPServer(("127.0.0.1", 0), _Pings)
    server.paths, server.status = [], status  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/secret?x=1", server.paths  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_heartbeat_says_well_or_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    with pinged() as (url, paths):
        monkeypatch.setenv("SANITYD_HEARTBEAT_URL", url)
        assert heartbeat.beat()
        assert heartbeat.beat(["it is ill"])
    assert paths == ["/secret?x=1", "/secret/fail?x=1"]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/secret", "ftp://secret", "http://example.com/secret"]
)
def test_a_heartbeat_that_fails_is_told_without_its_url(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SANITYD_HEARTBEAT_URL", url)
    assert not heartbeat.beat()
    assert "heartbeat" in caplog.text
    assert "secret" not in caplog.text


def test_a_heartbeat_that_is_refused_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pinged(404) as (url, _):
        monkeypatch.setenv("SANITYD_HEARTBEAT_URL", url)
        assert not heartbeat.beat()


CHECK_IN = """
import sys
from sanityd.daemon import heartbeat
heartbeat.beat(sys.argv[1:])
"""


@pytest.mark.parametrize(("words", "status"), [([], "ok"), (["ill"], "error")])
def test_sentry_gets_a_check_in_which_our_own_filter_lets_pass(
    words: list[str], status: str
) -> None:
    with serving() as sentry:
        named = {"SENTRY_DSN": sentry.dsn, "SANITYD_SENTRY_MONITOR": "sanityd-live"}
        subprocess.run(
            [sys.executable, "-c", CHECK_IN, *words],
            env={**os.environ, **named},
            check=True,
            timeout=60,
        )
        said = sentry.event()
    assert (said["monitor_slug"], said["status"]) == ("sanityd-live", status)
    assert "ill" not in str(said)


def test_check_pings_from_cron_too(project: Project) -> None:
    project.rules(RULES)
    with pinged() as (url, paths):
        assert project.run("check", SANITYD_HEARTBEAT_URL=url).code == 0
        (project.folder / "app.db").rename(project.folder / "away.db")
        assert project.run("check", SANITYD_HEARTBEAT_URL=url).code == 3
        (project.folder / "away.db").rename(project.folder / "app.db")
        project.sql("UPDATE people SET name = NULL WHERE id = 7")
        project.run("check", "--dry-run", SANITYD_HEARTBEAT_URL=url)
        project.rules("rules: nonsense\n")
        assert project.run("check", SANITYD_HEARTBEAT_URL=url).code == 2
    assert paths == ["/secret?x=1", "/secret/fail?x=1", "/secret/fail?x=1"]


@pytest.mark.parametrize(
    ("alive", "said"),
    [
        (None, "No rule is violated"),
        (SECOND, "is running since"),
        (45 * SECOND, "; it last responded "),
        (10 * MINUTE, " ago, and was not stopped: it crashed"),
    ],
)
def test_status_says_first_whether_it_can_be_trusted(
    project: Project, alive: timedelta | None, said: str
) -> None:
    project.rules(RULES)
    project.run("check")
    if alive is not None:
        rules = load(project.folder / "rules.yaml", {})
        with closing(Store.open(None, project.folder)) as store, store.write() as memory:
            leases.acquire(memory, rules.name, "me", datetime.now(UTC) - alive)
    assert said in project.run("status").out.splitlines()[0]


@pytest.mark.parametrize("ago", [SECOND, 10 * MINUTE])
def test_a_clean_stop_is_no_crash(
    store: Store, rules: RuleSet, project: Project, ago: timedelta
) -> None:
    at = datetime.now(UTC) - ago
    with store.write() as memory:
        leases.acquire(memory, rules.name, "another", at - 10 * SECOND)
        leases.release(memory, "another", at)
        lease = leases.get(memory, rules.name)
    assert health.serve_state(lease, at + ago) == "stopped"
    assert health.liveness_problem(lease, at + ago) == ""
    assert "sanityd serve was stopped" in project.run("status").out


def test_a_crash_is_no_clean_stop_for_the_check_after_it(
    store: Store, rules: RuleSet, project: Project
) -> None:
    at = datetime.now(UTC)
    with store.write() as memory:
        leases.acquire(memory, rules.name, "another", at - 10 * MINUTE)
        leases.expire(memory, "another")
    answer = project.run("check")
    assert "sanityd serve: the scheduler was last alive 10 min" in answer.out
    assert json.loads(project.run("check", "--format", "json").out)["serve"] == "silent"
    with store.write() as memory:
        leases.acquire(memory, rules.name, "another", datetime.now(UTC))
        # Nobody waits a minute for the lease of a process that ended with an error.
        leases.expire(memory, "another")
        assert leases.acquire(memory, rules.name, "me", datetime.now(UTC))
    assert json.loads(project.run("check", "--format", "json").out)["serve"] == "running"
