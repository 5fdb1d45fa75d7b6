"""The command line as a whole: help, unknown words, errors as sentences."""

import shlex
import subprocess
import sys
from pathlib import Path

from tests.support.project import Project


def test_help_lists_every_command(project: Project) -> None:
    answer = project.run("--help")
    assert answer.code == 0
    for name in (
        "demo",
        "init",
        "lint",
        "kinds",
        "try",
        "test",
        "check",
        "serve",
        "status",
        "show",
    ):
        assert f"  {name} " in answer.out


def test_every_command_explains_itself(project: Project) -> None:
    for name in (
        "demo",
        "init",
        "lint",
        "kinds",
        "try",
        "test",
        "check",
        "serve",
        "status",
        "show",
    ):
        answer = project.run(name, "--help")
        assert (answer.code, answer.err) == (0, "")
        assert "Usage: sanityd" in answer.out


def test_a_missing_rules_file_says_what_to_do(project: Project, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").unlink()
    answer = project.run("check")
    assert answer.code == 2
    assert "sanityd init" in answer.err
    assert "Traceback" not in answer.err


def test_an_unknown_command_is_no_traceback(project: Project) -> None:
    answer = project.run("chekc")
    assert answer.code == 2
    assert "Traceback" not in answer.err


def test_a_store_that_is_no_database_is_a_sentence(project: Project, tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"this is not a database, whatever its name says" * 100)
    answer = project.run("check", SANITYD_STATE=f"sqlite:///{tmp_path}/state.db")
    assert answer.code == 3
    assert answer.err.startswith("sanityd: ")
    assert "Traceback" not in answer.err


def test_an_output_that_is_full_is_told_and_no_fault_of_ours(project: Project) -> None:
    for words in ("schema", "explain", "check --dry-run"):
        done = shell(project, f"{words} > /dev/full")
        assert (done.returncode, "No space left" in done.stderr) == (3, True), done.stderr


def test_a_reader_that_goes_away_is_no_violation(project: Project) -> None:
    done = shell(project, "try no-duplicate-emails | true; echo ${PIPESTATUS[0]}")
    assert done.stdout == "0\n", done.stderr


def shell(project: Project, words: str) -> subprocess.CompletedProcess[str]:
    """Run `sanityd` with what follows by a shell."""
    command = f"{shlex.quote(sys.executable)} -m sanityd {words}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=project.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
