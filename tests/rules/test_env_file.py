"""`--env FILE`: which variables a file sets, and what is wrong in one, without any value."""

import os
import threading
from pathlib import Path

import pytest

from sanityd.errors import RuleError
from sanityd.rules import env_file, file_reader
from sanityd.rules.load import load
from tests.support.project import Project

TEXT = """\
# a comment
PLAIN=postgresql://me:p#w@host/db?x=1   # not of the value

export QUOTED="two words # and \\"more\\"\\n"
SINGLE='$HOME \\n'
EMPTY=
  SPACED = x \r
"""


def test_the_forms_of_a_variable(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("\ufeff" + TEXT, newline="")
    assert env_file.read(tmp_path / ".env") == {
        "PLAIN": "postgresql://me:p#w@host/db?x=1",
        "QUOTED": 'two words # and "more"\n',
        "SINGLE": "$HOME \\n",
        "EMPTY": "",
        "SPACED": "x",
    }


def test_all_wrong_lines_are_named_and_no_value_is_shown(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nhunter2\nB=\"hunter2\nC='hunter2' hunter2\n1A=hunter2\n")
    with pytest.raises(RuleError) as error:
        env_file.read(tmp_path / ".env")
    assert [(problem.line, problem.column) for problem in error.value.problems] == [
        (2, 1),
        (3, 3),
        (4, 3),
        (5, 1),
    ]
    assert "hunter2" not in str(error.value.problems)


def test_a_command_reads_the_file_and_what_is_set_already_wins(project: Project) -> None:
    rules = (project.folder / "rules.yaml").read_text().replace("sqlite:///app.db", "${APP_URL}")
    project.rules(rules)
    (project.folder / ".env").write_text("APP_URL=sqlite:///app.db\n")
    rule = "no-duplicate-emails"
    assert project.run("try", rule).code == 2
    assert project.run("try", rule, "--env", ".env").code == 0
    assert project.run("try", rule, "--env", ".env", APP_URL="sqlite:///none.db").code == 3
    missing = project.run("try", rule, "--env", "none.env")
    assert (missing.code, missing.out) == (2, "")
    assert "none.env: error: the file of `--env` can't be read" in missing.err


def test_a_pipe_without_a_writer_is_no_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_reader, "PIPE_SECONDS", 0.1)
    os.mkfifo(tmp_path / "rules.yaml")
    with pytest.raises(RuleError, match="nobody writes into this pipe"):
        load(tmp_path / "rules.yaml", {})


def test_rules_are_read_from_a_pipe(project: Project) -> None:
    text = (project.folder / "rules.yaml").read_bytes()
    pipe = project.folder / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(text,))
    writer.start()
    assert len(load(pipe, {}).rules) == 2
    writer.join()
