"""The history as people ask for it: of an incident, of a row, as a post-mortem; and its proof."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sanityd.authoring.demo.catcher import Catcher
from tests.support.project import RULES, Project

RULE = "every-person-has-a-welcome-mail"
HOSTILE = "` <img src=x onerror=alert(1)> | [x](http://evil.example) @ana #1 \u202e ```"
OTHER = """
  people-are-known-by-a-text:
    table: app.people
    never: id = 7
    severity: warning
"""


@pytest.fixture
def story(
    project: Project,
    tmp_path: Path,
    lose_mails: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Project]:
    """Three people have no mail, somebody acts, the rule is changed, and it is repaired."""
    project.rules(RULES + OTHER)
    lose_mails()
    (tmp_path / "caught").mkdir()
    with Catcher(tmp_path / "caught") as catcher:
        monkeypatch.setenv("SMTP_URL", catcher.url)
        project.run("check")
        project.run("ack", RULE, "--reason", HOSTILE, "--by", "ana")
        project.rules(RULES.replace("tags: [mail]", "tags: [mail, new]") + OTHER)
        project.sql("update mails set status = 'sent'")
        project.run("check")
        yield project


def printed(project: Project, *words: str, code: int = 0) -> str:
    answer = project.run("history", *words)
    assert (answer.code, answer.err) == (code, "")
    return answer.out


def events(project: Project, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(printed(project, *words, "--format", "json"))
    return found


def test_one_incident_row_and_post_mortem_tell_the_same_story(story: Project) -> None:
    everything = events(story, RULE)
    [number] = {event["incident"] for event in everything if event["kind"] == "incident"}
    of_incident = events(story, number)
    kinds = [event["kind"] for event in of_incident]
    assert kinds[:2] == ["rule", "incident"]
    assert {"act", "mail", "rule", "incident"} <= set(kinds)
    assert [event["at"] for event in of_incident] == sorted(event["at"] for event in of_incident)
    [act] = [event for event in of_incident if event["kind"] == "act"]
    assert (act["who"], act["incident"]) == ("ana", number)
    row = events(story, "sources.app.people", "id=7")
    assert {event["rule"] for event in row} == {RULE, "people-are-known-by-a-text"}
    ends = [event["what"] for event in row if event["kind"] == "row"]
    assert ends.count("was first seen to violate the rule") == 2
    assert "is no longer a violation: repaired" in ends
    assert {"mail", "act"} <= {event["kind"] for event in row}
    assert [event["kind"] for event in events(story, "app.people", "id=8")] == []
    _check_post_mortem(printed(story, number, "--format", "markdown"), number)


def _check_post_mortem(text: str, number: str) -> None:
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        f"# Post-mortem: `incident {number} of {RULE}`",
        "## Summary",
        "## Impact",
        "## Timeline",
        "## Who did what",
        "## Mails",
        "## The rule at that time",
    ]
    for fact in (
        "At most 3 rows at once",
        "`id 777` from",
        "`team@example.com`",
        "rule changed by `",
    ):
        assert fact in text
    assert "tags:\n    - mail\n```" in text, "the rule as it was"
    assert "- mail\n    - new\n```" in text, "and as it was changed"


def test_the_audit_is_whole_until_somebody_changes_it(story: Project) -> None:
    assert printed(story, "--verify").startswith("The audit is whole: ")
    [[seq, digest]] = story.state("SELECT seq, digest FROM audit_chain WHERE name = 'head'")
    head = f"{seq}:{digest[:12]}"
    assert "contains what the mail says" in printed(story, "--verify", "--head", head)
    cut = f"{seq + 3}:{digest[:12]}"
    assert "removed" in printed(story, "--verify", "--head", cut, code=1)
    story.state("UPDATE audit SET reason = 'nothing' WHERE actor = 'ana'")
    out = printed(story, "--verify", code=1)
    assert "was altered: its content does not match its digest" in out
    assert "by ana: acknowledged" in out
    document = json.loads(printed(story, "--verify", "--format", "json", code=1))
    assert (document["whole"], document["fault"]["what"]) == (False, "altered")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["app.peple", "id=7"], "did you mean `app.people`"),
        (["people", "id=7"], "does not begin with the name of a source"),
        (["app.people", "7"], "is not a key"),
        (["--verify", "--head", "7"], "is not the end of an audit"),
        (["--head", "7:0a1b2c3d4e5f"], "belongs to `--verify`"),
        (["--verify", RULE], "takes no name"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    project: Project, words: list[str], message: str
) -> None:
    answer = project.run("history", *words)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
