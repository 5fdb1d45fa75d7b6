"""SIGKILL at every step from "rows read" to "mail sent": nothing is lost, and nothing doubled but by a lost answer."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.project import Project
from tests.smtp_server import HANG, scripted, working

#: Dies by its own hand, without any clean-up, when the function is entered (`before`) or left (`after`) the first time.
SUICIDE = """
import importlib, os, signal, sys
module, name, when = sys.argv[1:4]
owner = importlib.import_module(module)
*path, last = name.split(".")
for part in path:
    owner = getattr(owner, part)
real = getattr(owner, last)
def deadly(*arguments, **options):
    if when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    answer = real(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
    return answer
setattr(owner, last, deadly)
from sanityd.cli import main
sys.argv = ["sanityd", "check"]
main()
"""

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


def revive(project: Project, url: str) -> None:
    """Passes of a healthy process, after the dead one's leases have ended."""
    project.state("UPDATE outbox SET leased_until = '2020-01-01 00:00:00', not_before = '2020-01-01 00:00:00'")
    for _ in range(2):
        project.run("check", SMTP_URL=url)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("module", "name"), STEPS, ids=[name for _, name in STEPS])
def test_whoever_dies_where_ever_the_mail_arrives(
    project: Project, lose_mails: Callable[[], None], module: str, name: str, when: str
) -> None:
    """Twice only where the server had taken it and nobody could write that down; then under the same Message-ID."""
    lose_mails()
    with working() as box:
        url = f"smtp://127.0.0.1:{box.port}"
        dead = subprocess.run(
            [sys.executable, "-c", SUICIDE, module, name, when],
            cwd=project.folder, env={**os.environ, "SMTP_URL": url}, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert dead.returncode == -signal.SIGKILL, dead.stderr.decode()
        before = len(box.mails)
        revive(project, url)
        opened = [mail for _, mail in box.mails if mail["X-Sanityd-Event"] == "opened"]
    assert len({mail["Message-ID"] for mail in opened}) == 1
    answer_lost = (name, when) in (("Email.deliver", "after"), ("Outbox.sent", "before"))
    assert (before, len(opened)) == (1, 2) if answer_lost else (before <= 1, len(opened)) == (True, 1)
    assert "ongoing" in project.run("check", SMTP_URL="smtp://127.0.0.1:1").out


@pytest.mark.parametrize("verb", ["connect", "ehlo", "mail", "rcpt", "data", "dot"])
def test_who_dies_in_the_middle_of_a_conversation_loses_nothing(
    project: Project, lose_mails: Callable[[], None], verb: str, tmp_path: Path
) -> None:
    lose_mails()
    with scripted(**{verb: HANG}) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "sanityd", "check"],
            cwd=project.folder, env={**os.environ, "SMTP_URL": f"smtp://127.0.0.1:{server.port}"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        project.wait_for("SELECT count(*) FROM outbox WHERE state = 'leased'", 1)
        process.kill()
        process.wait(10)
    with working() as box:
        revive(project, f"smtp://127.0.0.1:{box.port}")
    assert [mail["X-Sanityd-Event"] for _, mail in box.mails] == ["opened"]
