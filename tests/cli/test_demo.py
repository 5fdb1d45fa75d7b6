"""`sanityd demo`: the story, and what it leaves."""

import re
from pathlib import Path

from tests.support.project import Project


def test_the_story_finds_mails_and_resolves(project: Project, tmp_path: Path) -> None:
    answer = project.run("demo")
    assert (answer.code, answer.err) == (0, "")
    subjects = re.findall(r"✉ to team@example.com: (\[\w+\]) (\w+ \w+)", answer.out)
    assert subjects == [
        ("[ERROR]", "3 people"),
        ("[ERROR]", "2 values"),
        ("[ERROR]", "12 people"),
        ("[RESOLVED]", "3 rules"),
    ]
    assert len(list((tmp_path / "sanityd-demo" / "mails").glob("*.eml"))) == 4
    assert len(list((tmp_path / "sanityd-demo" / "mails").glob("*.html"))) == 4


def test_what_it_says_to_try_next_works(project: Project, tmp_path: Path) -> None:
    out = project.run("demo").out
    command = re.search(r"^  (?:sanityd|\S+ -m sanityd) (check .*)$", out, re.MULTILINE)
    assert command is not None
    assert project.run(*command[1].split()).code == 0


def test_a_second_demo_makes_its_folder_anew_and_no_other(project: Project, tmp_path: Path) -> None:
    assert project.run("demo").code == 0
    assert project.run("demo").code == 0
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").touch()
    refused = project.run("demo", "--folder", "mine")
    assert refused.code == 2
    assert (tmp_path / "mine" / "precious").exists()
