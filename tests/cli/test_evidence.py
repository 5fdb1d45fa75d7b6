"""Evidence as people see it: `try`, `check` with its mail, `show`, `history`. No other value leaves."""

import json
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from tests.support.project import Project

CANARY = "kanarie4711"
RULES = """\
sources: {app: sqlite:///app.db}
channels: {team: {file: mails}}
defaults: {notify: [team]}
rules:
  every-person-has-an-email:
    table: app.people
    not_null: email
    show: [changes, jobs]
    evidence:
      changes:
        query: select who, old_email, ip from changes where person_id = :key order by id desc
        show: [who]
      jobs: select state from jobs where person_id = :key
      notes: {query: "select who from changes where person_id = :key", show: who}
"""
DATA = f"""
CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT);
CREATE TABLE changes (id INTEGER PRIMARY KEY, person_id INTEGER, who TEXT, old_email TEXT, ip TEXT);
INSERT INTO people VALUES (1, 'a@x.io'), (7, NULL);
INSERT INTO changes VALUES (1, 7, 'bob <b>http://evil.example', '{CANARY}', '{CANARY}'), (2, 7, 'ana', NULL, NULL);
"""
LINES = ["changes: 2 rows (not shown: old_email, ip)", "who ana", "who bob <b>http://evil.example"]
NOT_AVAILABLE = "jobs: not available: SQLite refused the statement: no such table: jobs"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.rules(RULES)
    project.sql(DATA)
    return project


def test_it_is_shown_wherever_the_row_is_and_no_other_value_is_anywhere(project: Project) -> None:
    tried = project.run("try", "every-person-has-an-email")
    tried_json = project.run("try", "every-person-has-an-email", "--format", "json")
    checked = project.run("check")
    shown = project.run("show", "every-person-has-an-email")
    history = project.run("history", "every-person-has-an-email")
    of_row = project.run(
        "history", "every-person-has-an-email", "--row", "id=7", "--format", "json"
    )
    for ended in (tried, shown):
        assert "Evidence of id 7, read " in ended.out
        assert [line for line in LINES if line not in ended.out] == []
        assert NOT_AVAILABLE in ended.out
    assert "evidence of id 7: changes: 2 rows" in history.out
    [evidence] = json.loads(tried_json.out)["evidence"]
    assert evidence["key"] == {"id": 7}
    assert evidence["found"][0]["rows"] == [{"who": "ana"}, {"who": "bob <b>http://evil.example"}]
    events = json.loads(of_row.out)
    stored = [event["evidence"] for event in events if "evidence" in event]
    assert [(item["name"], item["count"], item["error"] is None) for item in stored] == [
        ("changes", 2, True),
        ("jobs", 0, False),
        ("notes", 2, True),
    ]
    [mail] = (project.folder / "mails").iterdir()
    raw = mail.read_bytes()
    parsed = message_from_bytes(raw, policy=default)
    parts = [parsed.get_body((kind,)) for kind in ("plain", "html")]
    text, html = [part.get_content() for part in parts if part is not None]
    for line in LINES:
        assert f"{line}" in text
    assert "not available" in text
    assert "notes" not in text, "it is not listed in `show`"
    assert "bob &lt;b&gt;http://evil.example" in html, "neither HTML nor a link"
    told = [ended.out + ended.err for ended in (tried, tried_json, checked, shown, history, of_row)]
    files = [
        path.read_bytes() for path in (project.folder / ".sanityd").rglob("*") if path.is_file()
    ]
    assert CANARY not in "".join((*told, text, html))
    assert [CANARY.encode() in content for content in (*files, raw)] == [False] * (len(files) + 1)


def test_a_mail_has_none_unless_the_rule_says_so(project: Project) -> None:
    project.rules(RULES.replace("    show: [changes, jobs]\n", ""))
    project.run("check")
    [mail] = (project.folder / "mails").iterdir()
    assert b"ana" not in mail.read_bytes()


def test_values_that_may_not_be_stored_any_more_are_deleted(project: Project) -> None:
    project.run("check")
    changed = RULES.replace("show: [who]", "show: [ip]").replace("      notes:", "      other:")
    project.rules(changed)
    project.run("check")
    stored = project.state("SELECT name, rows, hidden FROM evidence ORDER BY position")
    assert stored == [
        ("changes", "[{}, {}]", '["old_email", "ip", "who"]'),
        ("jobs", "[]", "[]"),
    ]


def test_a_renamed_rule_keeps_no_value_that_it_may_not_store_any_more(project: Project) -> None:
    project.run("check")
    renamed = RULES.replace(
        "every-person-has-an-email:", "email-set:\n    formerly: every-person-has-an-email"
    )
    project.rules(renamed.replace("show: [who]", "show: [ip]"))
    project.run("check")
    [stored] = project.state("SELECT rule, rows FROM evidence WHERE name = 'changes'")
    assert stored == ("email-set", "[{}, {}]")
