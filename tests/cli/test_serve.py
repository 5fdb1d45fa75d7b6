"""`sanityd serve`: a real process, real signals, a real mail server."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sanityd.demo.catcher import Catcher
from tests.project import RULES, Project

FAST = "alerts: {group_wait: 1s}\n" + RULES.replace("notify: [team]", "notify: [team]\n  schedule: every 1s")


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
    project: Project, daemon: "subprocess.Popen[str]", catcher: Catcher, lose_mails: Callable[[], None]
) -> None:
    lose_mails()
    wait_until(lambda: len(catcher.mails) == 1)
    project.sql("update mails set status = 'sent'")
    wait_until(lambda: len(catcher.mails) == 2)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(timeout=25) == 0
    assert [mail["X-Sanityd-Event"] for mail in catcher.mails] == ["opened", "resolved"]


def test_sighup_reads_the_rules_again_and_a_broken_file_keeps_the_old_ones(
    project: Project, daemon: "subprocess.Popen[str]", catcher: Catcher, tmp_path: Path
) -> None:
    def logged(words: str) -> bool:
        return words in (tmp_path / "log").read_text()

    wait_until(lambda: logged("serving 2 rules"))
    project.rules(FAST + "\n  everybody-is-new:\n    table: app.people\n    accepted_values: {status: [new]}\n")
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: len(catcher.mails) == 1)
    project.rules("rules: nonsense\n")
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: logged("the old rules keep running"))
    project.sql("update mails set status = 'queued' where person_id = 7")
    wait_until(lambda: len(catcher.mails) == 2)
    assert daemon.poll() is None
