"""People decide: every command, what it says, what it changes, and what it refuses."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sanityd.authoring.demo.catcher import Catcher
from sanityd.cli.act import parse_time
from tests.support.project import RULES, Project

RULE = "every-person-has-a-welcome-mail"


@pytest.fixture
def broken(
    project: Project,
    tmp_path: Path,
    lose_mails: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Project]:
    """Three people have no welcome mail, and the team knows."""
    lose_mails()
    (tmp_path / "caught").mkdir()
    with Catcher(tmp_path / "caught") as catcher:
        monkeypatch.setenv("SMTP_URL", catcher.url)
        assert project.run("check").code == 1
        assert len(catcher.mails) == 1
        yield project


def act(project: Project, *words: str) -> str:
    """Do something that must succeed. Returns what it says."""
    answer = project.run(*words, SANITYD_AUTHOR="ana")
    assert (answer.code, answer.err) == (0, "")
    return answer.out


def refused(project: Project, *words: str, code: int = 3) -> str:
    """Do something that must fail, with a reason and no traceback. Returns what it says."""
    answer = project.run(*words)
    assert (answer.code, answer.out) == (code, "")
    assert "Traceback" not in answer.err
    return answer.err


def test_an_acknowledgement_is_said_kept_and_shown(broken: Project) -> None:
    said = act(broken, "ack", RULE, "--for", "3d", "--reason", "looking at the queue")
    assert "is acknowledged by ana until" in said
    assert "twice as many violations as now (3)" in said
    assert "acknowledged by ana until" in act(broken, "status")
    assert "looking at the queue" in act(broken, "show", RULE)
    assert "acknowledged by ana" in broken.run("check").out
    assert "looking at the queue" in act(broken, "history", RULE)


@pytest.mark.parametrize("text", ["2026-12-04 09:00 Asia/Tokyo", "2026-12-04T09:00+09:00"])
def test_an_end_may_name_its_zone(text: str) -> None:
    assert parse_time(text) == datetime(2026, 12, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["Asia/Tokyo", "tomorrow", "2026-12-04 Mars/Base", "2026-12-04 09:00+09:00 UTC", ""]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_time(text)


def test_times_are_printed_with_their_zone(broken: Project) -> None:
    said = act(broken, "ack", RULE, "--for", "3d", "--reason", "looking at the queue")
    assert re.search(r"acknowledged by ana until .*:[0-9]{2} UTC\.", said)
    shown = act(broken, "show", RULE)
    assert "since (UTC)" in shown
    assert re.search(r"since [0-9:]{5} UTC, for", shown)
    silence = act(broken, "silence", "every-*", "--for", "2h", "--reason", "deployment")
    assert re.search(r"silenced until .*[0-9]{2}:[0-9]{2} UTC\.", silence)
    assert "until (UTC)" in act(broken, "silence", "--list")


def test_an_acknowledgement_can_be_taken_back(broken: Project) -> None:
    act(broken, "ack", RULE, "--reason", "me")
    assert "not acknowledged any more" in act(broken, "ack", RULE, "--end", "--reason", "no time")
    assert "acknowledged by" not in act(broken, "status")
    assert "has no decision to withdraw" in refused(
        broken, "ack", RULE, "--end", "--reason", "again"
    )


def test_an_incident_is_named_as_well_as_a_rule(broken: Project) -> None:
    [(incident,)] = broken.state("SELECT id FROM incidents")
    assert "is snoozed until" in act(
        broken, "snooze", incident, "--for", "4h", "--reason", "after the meeting"
    )
    assert "This is the default, 7 d;" in act(broken, "ack", incident, "--reason", "at it")
    assert "This is the default, 180 d;" in act(
        broken, "accept", incident, "--reason", "it may stay so"
    )


def test_a_row_that_is_accepted_counts_no_longer(broken: Project) -> None:
    said = act(
        broken, "accept", RULE, "--row", "id=7", "--row", "id=77", "--reason", "test accounts"
    )
    assert "id 7 is accepted until" in said
    assert said.endswith(
        "\n  This is the default, 180 d; set another end with `--for` or `--until`.\n"
    )
    answer = json.loads(broken.run("check", "--format", "json").out)
    assert (answer["rules"][0]["violations"], answer["rules"][0]["effective_severity"]) == (
        3,
        "error",
    )
    said = act(
        broken, "accept", RULE, "--row", "id=777", "--reason", "the last one", "--for", "20d"
    )
    assert "is accepted until" in said
    assert "the default" not in said
    assert broken.run("check").code == 0
    assert "is still there" in act(broken, "history", RULE, "--row", "id=777")


def test_accepted_rows_are_told_as_such_and_counted_once(broken: Project) -> None:
    act(broken, "accept", RULE, "--row", "id=7", "--reason", "test account")
    checked = broken.run("check").out
    assert "3 ongoing; open since" in checked
    assert "; 1 accepted" in checked
    shown = act(broken, "show", RULE)
    assert "open, error, 2 rows" in shown
    marked = [line.split() for line in shown.splitlines() if "accepted" in line.split()]
    assert [line[:2] for line in marked if line[0].isdigit() and len(line) == 3] == [
        ["7", "accepted"]
    ]


def test_a_part_of_a_key_is_not_enough(broken: Project) -> None:
    broken.rules(RULES + "\n  seven-is-bad: {table: app.people, key: [id, email], never: id = 7}\n")
    broken.run("check")
    told = refused(broken, "accept", "seven-is-bad", "--row", "id=7", "--reason", "x")
    assert "Name all of it: `--row id=…,email=…`" in told


def test_a_rule_that_is_switched_off_says_so_where_it_is_open(broken: Project) -> None:
    broken.rules(RULES.replace("    tags: [mail]", "    enabled: false"))
    for command in (["status"], ["show", RULE]):
        assert "the rule is disabled, so it is not checked" in act(broken, *command)


def test_what_is_closed_stays_violated_until_a_run_says_otherwise(broken: Project) -> None:
    assert "closed as wont fix" in act(
        broken, "close", RULE, "--as", "wont_fix", "--reason", "old accounts"
    )
    assert broken.run("check").code == 1
    assert broken.state("SELECT resolved_at FROM incidents") == [(None,)]


@pytest.mark.parametrize(
    ("pattern", "is_told"),
    [("zzz*", True), ("every-*", False), ("source:app", False)],
)
def test_a_silence_that_no_rule_matches_is_told(
    broken: Project, pattern: str, is_told: bool
) -> None:
    answer = broken.run("silence", pattern, "--for", "2h", "--reason", "deployment")
    assert answer.code == 0
    assert ("No rule in the file matches it now." in answer.err) is is_told


def test_a_silence_is_said_listed_and_ended(broken: Project) -> None:
    assert "`every-*` silenced until" in act(
        broken, "silence", "every-*", "--for", "2h", "--reason", "deployment"
    )
    assert "deployment" in act(broken, "silence", "--list")
    assert "silenced: every-*" in act(broken, "status")
    act(broken, "silence", "--end", "1")
    assert "There are no silences." in act(broken, "silence", "--list")


def test_several_incidents_are_named_by_patterns_and_by_the_beginning_of_their_ids(
    broken: Project,
) -> None:
    broken.sql("UPDATE people SET email = 'a@example.com' WHERE id < 3")
    broken.run("check")
    ids = [incident for (incident,) in broken.state("SELECT id FROM incidents ORDER BY opened_at")]
    assert len(ids) == 2
    said = act(broken, "ack", "*", ids[0][:6], "--reason", "x")
    assert said.count("is acknowledged by ana") == 3
    assert act(broken, "ack", "*", "--end", "--reason", "x").count("is not acknowledged") == 2
    said = act(broken, "snooze", "no-*", ids[0], "--for", "1h", "--reason", "x")
    assert said.count("is snoozed until") == 2
    assert f"Incident {ids[1]}: open" in act(broken, "show", ids[1][:5])
    before = broken.state("SELECT count(*) FROM triage")
    refused(broken, "close", "no-*", "nope", "--as", "fixed", "--reason", "x", code=2)
    assert broken.state("SELECT count(*) FROM triage") == before
    broken.state("UPDATE incidents SET id = 'abcd' || id")
    assert "is the beginning of several incidents" in refused(broken, "show", "abcd", code=2)


NONSENSE: list[tuple[list[str], str]] = [
    (["ack", "no-duplicate-emails", "--reason", "x"], "`no-duplicate-emails` has no open incident"),
    (["ack", RULE, "--reason", "  "], "there is no reason"),
    (["ack", RULE, "--reason", "x" * 1001], "more than 1,000 characters"),
    (["ack", RULE, "--for", "31d", "--reason", "x"], "30 d at most"),
    (["ack", RULE, "--until", "2020-01-01", "--reason", "x"], "the end is in the past"),
    (["accept", RULE, "--for", "181d", "--reason", "x"], "180 d at most"),
    (["accept", RULE, "--row", "id=8", "--reason", "x"], f"no tracked row of `{RULE}` has id 8"),
    (["silence", "*", "--for", "31d", "--reason", "x"], "30 d at most"),
    (["silence", "*", "--for", "1h"], "there is no reason"),
    (["silence", "--end", "9"], "there is no silence 9"),
    (["noise", "undo", RULE], "nothing to undo"),
]


def test_nonsense_is_refused_with_what_to_do(broken: Project) -> None:
    for words, said in NONSENSE:
        assert said in refused(broken, *words), words
    assert (
        broken.state("SELECT count(*) FROM triage")
        == broken.state("SELECT count(*) FROM silences")
        == [(0,)]
    )


MISUSED: list[tuple[list[str], str]] = [
    (["ack", RULE], "--reason"),
    (["ack", RULE, "--for", "soon", "--reason", "x"], "not a duration"),
    (["ack", RULE, "--until", "soon", "--reason", "x"], "not a time"),
    (
        ["ack", RULE, "--for", "1d", "--until", "2099-01-01", "--reason", "x"],
        "either --for or --until",
    ),
    (["snooze", RULE, "--reason", "x"], "how long"),
    (["accept", RULE, "--row", "7", "--reason", "x"], "not a key"),
    (["close", RULE, "--reason", "x"], "--as"),
    (["silence", "--for", "1h", "--reason", "x"], "what to silence"),
    (["silence", "*", "--reason", "x"], "how long"),
    (["history", "--row", "id=7"], "name the rule"),
    (["noise", "explain", "nope"], "there is no rule `nope`"),
    (["silence", "--tag", "mial", "--for", "1h", "--reason", "x"], "did you mean `mail`?"),
    (["silence", "--source", "ap", "--for", "1h", "--reason", "x"], "did you mean `app`?"),
    (["noise", "undo", "no-duplicate-email"], "did you mean `no-duplicate-emails`?"),
    (["ack", "no-*", "--reason", "x"], "nothing is open of a rule like `no-*`"),
    (["accept", RULE, RULE, "--row", "id=7", "--reason", "x"], "only the rule of the rows"),
    (["status", "--tag", "mial"], "did you mean `mail`?"),
    (["status", "--source", "ap"], "did you mean `app`?"),
    (["statsu"], "did you mean `status`?"),
    (
        ["silence", "nothing-like-it", "--for", "1h", "--reason", "x"],
        "there is no rule or incident",
    ),
]


def test_a_command_that_makes_no_sense_is_a_usage_error(broken: Project) -> None:
    for words, said in MISUSED:
        assert said in refused(broken, *words, code=2), words


def test_history_tells_what_came_and_went_while_it_was_open(broken: Project) -> None:
    broken.sql(
        "update mails set status = 'sent' where person_id = 7; delete from people where id = 77"
    )
    broken.sql("update mails set status = 'queued' where person_id in (17, 18)")
    broken.run("check")
    told = [one["what"] for one in json.loads(act(broken, "history", RULE, "--format", "json"))]
    assert told[-2:] == ["2 rows more", "1 repaired, 1 deleted"]
    broken.sql("update mails set status = 'sent'")
    broken.run("check")
    told = [one["what"] for one in json.loads(act(broken, "history", RULE, "--format", "json"))]
    assert told.count("2 rows more") == told.count("1 repaired, 1 deleted") == 1
    assert [one for one in told if one.startswith("holds again")] == [
        "holds again: 4 repaired, 1 deleted"
    ]


def test_history_tells_one_story_as_text_and_as_json(broken: Project) -> None:
    act(broken, "ack", RULE, "--reason", "me")
    broken.sql("update mails set status = 'sent'")
    broken.run("check")
    text = act(broken, "history")
    story = json.loads(act(broken, "history", RULE, "--format", "json"))
    told = [one["what"].split(":")[0].split(" until")[0] for one in story]
    assert told[:4] == ["rule added", "violated", "mail `opened` delivered", "acknowledged"]
    assert "holds again: 3 repaired" in [one["what"] for one in story]
    assert all(
        words in text
        for words in ("violated: 3 rows, error", "holds again: 3 repaired", "team@example.com")
    )


def test_hostile_words_steer_no_terminal_and_break_no_table(broken: Project) -> None:
    evil = "\x1b[2J\u202e\nboo\x07"
    act(broken, "ack", RULE, "--reason", evil, "--by", evil)
    for words in (["status"], ["show", RULE], ["history", RULE], ["check", "--dry-run"]):
        out = broken.run(*words).out
        assert not {"\x1b", "\u202e", "\x07"} & set(out)
    assert json.loads(broken.run("history", "--format", "json").out)


def test_noise_tells_who_mails_how_often_and_explains_every_number(broken: Project) -> None:
    assert RULE in act(broken, "noise")
    explained = act(broken, "noise", "explain", RULE)
    assert "mails in 28 d: 1" in explained
    assert "flap score" in explained
    replayed = act(broken, "noise", "replay", "--since", "7d")
    assert "1 mails to each recipient" in replayed or "1 mail" in replayed


def test_a_downgrade_is_shown_everywhere_and_undone(broken: Project) -> None:
    since = datetime.now(UTC).isoformat()
    standing = {"steps": 1, "since": since, "baseline": 3, "sentence": "14 mails, none acted on"}
    broken.state(
        f"INSERT INTO noise VALUES ('{RULE}', '{json.dumps(standing)}', '2026-11-02 00:00:00')"
    )
    answer = broken.run("check")
    assert answer.code == 0
    assert "warning (14 mails, none acted on)" in answer.out
    for words in (["status"], ["show", RULE], ["noise"]):
        assert "14 mails, none acted on" in act(broken, *words)
    assert "has its declared severity again" in act(
        broken, "noise", "undo", RULE, "--reason", "it matters"
    )
    assert broken.run("check").code == 1
