"""`try`: what is wrong now, how it was looked at, and what would come of it by what is remembered;
without a trace."""

import json
import re
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sanityd.authoring.demo import story
from sanityd.authoring.demo.catcher import Catcher
from sanityd.cli import trial_text
from sanityd.cli.trial_text import share
from sanityd.model import Reason
from tests import ROOT
from tests.support.project import RULES, Project

RULE = "every-person-has-a-welcome-mail"
MORE = """
  ids-add-up:
    table: app.people
    aggregate: {expr: sum(id), min: 10}
  enough-people:
    table: app.people
    row_count: {min: 2000}
    severity: warning
  seldom-wrong:
    table: app.people
    never: id in (1, 2)
    severity: {warning: 1, error: 2, critical: "50%"}
"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people have no welcome mail, the team was told, and now it is a fourth."""
    made = Project(tmp_path_factory.mktemp("checked"))
    made.rules(RULES + MORE)
    story.begin(made.folder / "app.db")
    made.sql("update mails set status = 'queued' where person_id in (7, 77, 777)")
    with TemporaryDirectory() as caught, Catcher(Path(caught)) as catcher:
        assert made.run("check", SMTP_URL=catcher.url).code == 1
    made.sql("update mails set status = 'queued' where person_id = 17")
    return made.folder


@pytest.fixture
def known(checked: Path, tmp_path: Path) -> Project:
    """The same, to do with as one likes."""
    shutil.copytree(checked, tmp_path, dirs_exist_ok=True)
    return Project(tmp_path)


def tried(project: Project, *words: str, code: int = 1) -> dict[str, str]:
    """What `try` tells, by the words at the beginning of its lines."""
    answer = project.run("try", *words)
    assert (answer.code, answer.err) == (code, ""), answer.out
    facts: dict[str, str] = {}
    for line in answer.out.splitlines():
        if line[:1].isupper() and line[17:]:
            facts[line[:17].strip()] = line[17:]
    return facts | {"": answer.out}


def test_it_tells_what_is_new_and_that_it_is_no_news(known: Project) -> None:
    before = (known.folder / ".sanityd" / "state.db").read_bytes()
    facts = tried(known, RULE)
    assert facts["History"].startswith("1 run; the last, ")
    assert facts["Since last time"].startswith("1 new · 3 ongoing; open since ")
    assert (
        facts["Would not notify"]
        == "team@example.com (team): nothing changed since the last notification"
    )
    assert "The mail" not in facts
    assert (known.folder / ".sanityd" / "state.db").read_bytes() == before


def test_it_tells_what_people_decided(known: Project) -> None:
    known.run("ack", RULE, "--for", "3d", "--reason", "looking at the queue", SANITYD_AUTHOR="ana")
    assert "acknowledged by ana until" in tried(known, RULE)["Would not notify"]
    # Twice as many as were acknowledged are news again.
    known.sql("update mails set status = 'queued' where person_id in (18, 19, 20)")
    facts = tried(known, RULE)
    assert facts["Would notify"] == "team@example.com (team): escalated"
    assert facts["The mail"].startswith("[WORSE] 7 people have no row in app.mails")
    known.run("silence", "every-*", "--for", "2h", "--reason", "migrating", SANITYD_AUTHOR="bob")
    assert "silenced by bob until" in tried(known, RULE)["Would not notify"]


def test_it_tells_that_a_rule_counts_less_and_why(known: Project) -> None:
    sentence = "declared error, now warning since 2 Nov: 14 mails, none acted on"
    since = datetime.now(UTC).isoformat()
    standing = json.dumps({"steps": 1, "since": since, "baseline": 3, "sentence": sentence})
    known.state(f"INSERT INTO noise VALUES ('{RULE}', '{standing}', '2026-11-02 00:00:00')")
    facts = tried(known, RULE)
    assert facts["Counts as"] == "warning"
    assert facts["Noise"] == sentence


def test_it_tells_that_it_is_over(known: Project) -> None:
    known.sql("update mails set status = 'sent'")
    facts = tried(known, RULE, code=0)
    assert facts["Since last time"].startswith("3 resolved")
    assert facts["Would notify"] == "team@example.com (team): resolved"
    assert facts["Measured"] == "0 of 1,000 rows violate, 0 %"


def test_it_tells_what_was_measured_and_which_step_is_reached(known: Project) -> None:
    assert tried(known, "ids-add-up", code=0)["Measured"] == "sum(id) = 500,500"
    facts = tried(known, "enough-people", code=0)
    assert facts["Measured"] == "rows = 1,000"
    assert "only error and critical are mailed" in facts["Would not notify"]
    facts = tried(known, "seldom-wrong")
    assert (
        facts["Severity"]
        == "warning from 1 on, error from 2 on: reached, critical from 50 % of the rows on"
    )
    assert facts["Measured"] == "2 of 1,000 rows violate, 0.2 %"


@pytest.mark.parametrize(
    ("part", "whole", "told"),
    [
        (0, 9, "0 %"),
        (3, 1000, "0.3 %"),
        (6, 50_000, "0.012 %"),
        (4, 10**9, "0.0000004 %"),
        (1, 3, "33.3 %"),
        (2, 2, "100 %"),
    ],
)
def test_a_share_is_never_rounded_away(part: int, whole: int, told: str) -> None:
    assert share(part, whole) == told


def test_the_page_about_it_explains_every_line() -> None:
    page = (ROOT / "docs" / "howto" / "trying.md").read_text(encoding="utf-8")
    explained = {
        word
        for line in re.findall(r"^\| ([A-Z][^|]*) \|", page, re.MULTILINE)
        for word in line.split(", ")
    }
    printed = set(
        re.findall(r'yield "([A-Z][^"]+)"', Path(trial_text.__file__).read_text(encoding="utf-8"))
    )
    assert len(printed) > 12
    assert printed - explained == set()


def test_every_reason_not_to_tell_has_its_words() -> None:
    by_name = {
        Reason.ACKNOWLEDGED,
        Reason.SNOOZED,
        Reason.CLOSED,
        Reason.SILENCED,
        Reason.INHIBITED,
    }
    assert {reason for reason in Reason if not reason.mails} == by_name | trial_text.QUIET.keys()


def test_a_memory_of_another_version_is_left_as_it_is(known: Project) -> None:
    known.state("UPDATE alembic_version SET version_num = '0001'")
    facts = tried(known, RULE)
    assert "the store was written by another version" in facts["History"]
    assert known.state("SELECT version_num FROM alembic_version") == [("0001",)]


def test_the_mail_is_opened_or_it_is_said_where_it_is(known: Project, tmp_path: Path) -> None:
    """Also when nobody would get it just now."""
    (tmp_path / "browser").write_text('#!/bin/sh\ncp "${1#file://}" seen.html\n')
    (tmp_path / "browser").chmod(0o755)
    answer = known.run("try", RULE, "--open", BROWSER=f"{tmp_path}/browser %s")
    assert "opened in a browser: /" in answer.out
    assert "no row in app.mails" in (tmp_path / "seen.html").read_text()
    answer = known.run(
        "try",
        RULE,
        "--open",
        BROWSER="/bin/false %s",
        PATH="/nowhere",
        DISPLAY="",
        WAYLAND_DISPLAY="",
    )
    where = answer.out.partition("no browser can be opened; the mail is in ")[2].splitlines()[0]
    assert "no row in app.mails" in Path(where).read_text()
    Path(where).unlink()


def test_for_programs_it_is_one_object(known: Project) -> None:
    answer = known.run("try", RULE, "--format", "json")
    told = json.loads(answer.out)
    assert (answer.code, told["outcome"], told["violations"], told["checked"]) == (
        1,
        "failed",
        4,
        1000,
    )
    assert [row["key"] for row in told["sample"]] == [
        {"id": 7},
        {"id": 17},
        {"id": 77},
        {"id": 777},
    ]
    assert told["consequences"]["changes"] == {"new": 1, "ongoing": 3}
    assert [(one["reason"], one["mails"]) for one in told["consequences"]["told"]] == [
        ("unchanged", False)
    ]
    assert [step["form"] for step in told["plan"]] == ["scan", "counts"]
    assert len(told["statements"]) == 2


def test_a_rule_of_two_sources_is_to_be_confirmed(project: Project) -> None:
    with closing(sqlite3.connect(project.folder / "there.db")) as there, there:
        there.execute("CREATE TABLE notes (email TEXT PRIMARY KEY)")
    rules = RULES.replace("sources:\n", "sources:\n  there: sqlite:///there.db\n")
    project.rules(
        rules + "  noted:\n    table: app.people\n    has: {in: there.notes, on: {email: email}}\n"
    )
    facts = tried(project, "noted")
    assert "  -- there\n" in facts[""]
    assert "two sources of app.people: compared with there.notes key by key" in facts["Plan"]
    assert facts["To be confirmed"].startswith("`check` evaluates again, at once and after 30 s")


def test_sql_that_is_refused_is_shown_and_where_to_look_for_its_place(project: Project) -> None:
    """Also what was refused before anything was looked at. Nobody is sent to the command that they
    have just run."""
    table, query = "table: app.people", "source: app\n    key: id"
    there = "same_as: {in: {source: app, query: select id from peeple}, on: {id: id}}"
    for rule, sql in (
        (f"{table}\n    always: lenght(email) > 0", "lenght(email) > 0"),
        (
            f"{query}\n    query: select id from peeple where id > 0",
            "  select id\n  from peeple\n  where id > 0\n",
        ),
        (f"{table}\n    {there}", "  select id\n  from peeple\n"),
    ):
        project.rules(f"{RULES}  odd:\n    {rule}\n")
        whole = tried(project, "odd", code=3)[""]
        assert "SQLite refused the statement: no such " in whole
        assert sql in whole.partition("\nSQL\n")[2]
        assert "sanityd lint --connect" in whole
        assert "sanityd try" not in whole


def test_hostile_values_in_sql_steer_nothing(project: Project) -> None:
    """A row that was violating is looked for by its key, which stands in that SQL."""
    project.rules(RULES + "  odd:\n    table: app.people\n    never: id = 7\n    key: email\n")
    project.sql("update people set email = 'a\x1b[2J\u202e\r@x.io' where id = 7")
    assert project.run("check", "odd").code == 3  # the mail server is not there
    project.sql("update people set id = 70000 where id = 7")
    facts = tried(project, "odd", code=0)
    assert facts["Since last time"].startswith("1 resolved")
    assert r"'a\x1b[2J\u202e\r@x.io'" in facts[""]
    assert not {"\x1b", "\u202e", "\r"} & set(facts[""])
