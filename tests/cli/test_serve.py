"""`sanityd serve`: a real process, real signals, a real mail server."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from sanityd.authoring.demo.catcher import Catcher
from sanityd.cli import serve
from sanityd.rules.load import load
from tests.support.project import RULES, Project

FAST = "alerts: {group_wait: 1s}\n" + RULES.replace(
    "notify: [team]", "notify: [team]\n  schedule: every 1s"
)


@pytest.fixture
def catcher(tmp_path: Path) -> Iterator[Catcher]:
    mails = tmp_path / "mails"
    mails.mkdir()
    with Catcher(mails) as running:
        yield running


@pytest.fixture
def daemon(project: Project, catcher: Catcher, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A daemon whose rules are due every second; its log is `log` in the folder."""
    project.rules(FAST)
    with (tmp_path / "log").open("w") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", "sanityd", "serve"],
            cwd=tmp_path,
            env={**os.environ, "SMTP_URL": catcher.url},
            stderr=log,
            text=True,
        )
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def wait_until(true: Callable[[], object], seconds: float = 60) -> None:
    """Fails the test when something does not come to be."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def test_it_mails_what_breaks_and_what_is_repaired_and_ends_by_sigterm(
    project: Project,
    daemon: "subprocess.Popen[str]",
    catcher: Catcher,
    lose_mails: Callable[[], None],
) -> None:
    lose_mails()
    wait_until(lambda: len(catcher.mails) == 1)
    project.sql("update mails set status = 'sent'")
    wait_until(lambda: len(catcher.mails) == 2)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(timeout=25) == 0
    assert [mail["X-Sanityd-Event"] for mail in catcher.mails] == ["opened", "resolved"]
    status = project.run("status").out
    assert "sanityd serve was stopped" in status
    assert "is running" not in status


def test_sighup_reads_the_rules_again_and_a_broken_file_keeps_the_old_ones(
    project: Project, daemon: "subprocess.Popen[str]", catcher: Catcher, tmp_path: Path
) -> None:
    def logged(words: str) -> bool:
        return words in (tmp_path / "log").read_text()

    wait_until(lambda: logged("serving 2 rules"))
    project.rules(
        FAST
        + "\n  everybody-is-new:\n    table: app.people\n    accepted_values: {status: [new]}\n"
    )
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: len(catcher.mails) == 1)
    project.rules("rules: nonsense\n")
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: logged("the rules read before stay in force"))
    wait_until(lambda: len(catcher.mails) == 2)
    project.sql("update mails set status = 'queued' where person_id = 7")
    wait_until(lambda: len(catcher.mails) == 3)
    assert [mail["X-Sanityd-Event"] for mail in catcher.mails] == ["opened", "errored", "opened"]
    assert daemon.poll() is None


def test_it_waits_for_a_store_that_cannot_be_reached(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "RETRY_SECONDS", 0.1)
    monkeypatch.setenv("SANITYD_STATE", "sqlite:///later/state.db")
    folder = threading.Timer(0.3, (tmp_path / "later").mkdir)
    folder.start()
    store = serve._wait_for_store(load(tmp_path / "rules.yaml", {}))
    folder.join()
    assert store is not None
    store.close()
    assert (tmp_path / "later" / "state.db").exists()


def test_a_second_daemon_of_a_file_is_refused_and_the_first_goes_on(
    project: Project, daemon: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    wait_until(lambda: "serving 2 rules" in (tmp_path / "log").read_text())
    second = project.run_anew("serve")
    assert second.code != 0
    assert "another `sanityd serve` works with this store (state.db)" in second.err
    assert "Traceback" not in second.err
    assert project.run("check").code == 0
    assert daemon.poll() is None


def test_who_was_killed_leaves_no_lock_and_what_it_did_not_do_is_done_at_once(
    project: Project, daemon: "subprocess.Popen[str]", catcher: Catcher, tmp_path: Path
) -> None:
    wait_until(lambda: "serving 2 rules" in (tmp_path / "log").read_text())
    daemon.kill()
    daemon.wait()
    project.sql("update mails set status = 'queued' where person_id = 7")
    with (tmp_path / "log2").open("w") as log:
        words = [sys.executable, "-m", "sanityd", "serve"]
        again = subprocess.Popen(
            words, cwd=tmp_path, env={**os.environ, "SMTP_URL": catcher.url}, stderr=log
        )
    try:
        wait_until(lambda: len(catcher.mails) == 1, 30)
    finally:
        again.kill()
        again.wait()


def test_a_saved_file_is_read_without_being_asked(
    project: Project, daemon: "subprocess.Popen[str]", catcher: Catcher, tmp_path: Path
) -> None:
    wait_until(lambda: "serving 2 rules" in (tmp_path / "log").read_text())
    project.rules(
        FAST
        + "\n  everybody-is-new:\n    table: app.people\n    accepted_values: {status: [new]}\n"
    )
    wait_until(lambda: len(catcher.mails) == 1)
    assert "1 × rule added" in (tmp_path / "log").read_text()
    assert daemon.poll() is None


def test_restarted_every_few_seconds_a_daily_rule_is_still_looked_at_once(
    project: Project, tmp_path: Path
) -> None:
    """Its interval doesn't begin anew with each start, and what was looked at today isn't looked at
    again."""
    project.rules(FAST.replace("every 1s", "every 24h"))
    for _ in range(3):
        with (tmp_path / "log").open("w") as log:
            one = subprocess.Popen(
                [sys.executable, "-m", "sanityd", "serve"], cwd=tmp_path, stderr=log
            )
        wait_until(lambda: "serving" in (tmp_path / "log").read_text())
        time.sleep(1.5)
        one.send_signal(signal.SIGTERM)
        assert one.wait(timeout=25) == 0
    assert project.state("SELECT rule, count(*) FROM runs GROUP BY rule ORDER BY rule") == [
        ("every-person-has-a-welcome-mail", 1),
        ("no-duplicate-emails", 1),
    ]


def test_it_serves_its_health_while_it_works(project: Project, tmp_path: Path) -> None:
    project.rules(FAST)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (tmp_path / "log").open("w") as log:
        words = [sys.executable, "-m", "sanityd", "serve", "--web", f"127.0.0.1:{port}"]
        one = subprocess.Popen(words, cwd=tmp_path, stderr=log)
    pool = PoolManager(retries=False, timeout=5)

    def is_well() -> bool:
        with suppress(HTTPError):
            return bool(pool.request("GET", f"http://127.0.0.1:{port}/healthz").status == 200)
        return False

    try:
        wait_until(is_well)
        assert b"sanityd_rules 2.0" in pool.request("GET", f"http://127.0.0.1:{port}/metrics").data
        one.send_signal(signal.SIGTERM)
        assert one.wait(timeout=25) == 0
    finally:
        one.kill()
        one.wait()


@pytest.mark.parametrize(
    ("address", "said"), [("nonsense", "is not an address"), ("256.0.0.1:80", "can't be served")]
)
def test_an_address_that_cannot_be_is_refused_in_words(
    project: Project, address: str, said: str
) -> None:
    ended = project.run_anew("serve", "--web", address)
    assert ended.code not in (0, 1)
    assert said in ended.err
    assert "Traceback" not in ended.err
