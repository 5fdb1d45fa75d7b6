"""What the servers of the tests owe to the machine they run on."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support import services


def test_what_a_machines_restart_left_behind_is_deleted_and_nobody_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers in its files are other processes' by now: here, that of a process that must live."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        _left_behind(tmp_path / "sanityd-tests-old", bystander.pid)
        services.sweep()
        assert not list(tmp_path.iterdir())
        assert bystander.poll() is None
        bystander.communicate(b"\n")


def test_a_run_that_lives_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs on one machine don't stop each other's servers."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    living = services.Run()
    services.sweep()
    assert living.folder.exists()
    living.end()
    assert not living.folder.exists()


def _left_behind(run: Path, number: int) -> None:
    """The folder of a run whose machine was switched off."""
    for server, port in (("postgresql", 1), ("mariadb", 2)):
        (run / server / "data").mkdir(parents=True)
        (run / server / "log").touch()
        (run / server / "url").write_text(f"postgresql+psycopg://owner:x@127.0.0.1:{port}/postgres")
        (run / server / "pid.shell").write_text(str(number))
        (run / server / "data" / "postmaster.pid").write_text(f"{number}\n{run}\n{os.getpid()}\n")
    (run / "alive").touch()
