"""`sanityd check`: exit codes, forms, mails; with a real database and a real mail server."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

from sanityd.authoring.demo.catcher import Catcher
from tests.support.forked import Ended
from tests.support.project import RULES, Project
from tests.support.smtp_server import scripted


def test_a_healthy_database_exits_0(project: Project) -> None:
    answer = project.run("check")
    assert (answer.code, answer.err) == (0, "")
    assert "every-person-has-a-welcome-mail" in answer.out
    assert "✓" in answer.out


def test_a_violation_exits_1_and_names_the_rows(
    project: Project, tmp_path: Path, lose_mails: Callable[[], None]
) -> None:
    lose_mails()
    with Catcher(tmp_path) as catcher:
        answer = project.run("check", SMTP_URL=catcher.url)
    assert answer.code == 1
    assert "3 of 1,000 people   3 new  error" in answer.out
    assert "id 7 · id 77 · id 777" in answer.out
    assert "1 message queued, 1 delivered" in answer.out


def test_known_rows_are_mailed_once_and_their_repair_is_told(
    project: Project, tmp_path: Path, lose_mails: Callable[[], None]
) -> None:
    """Opened once, silent while nothing changes, resolved once."""
    lose_mails()
    with Catcher(tmp_path) as catcher:
        codes = [project.run("check", SMTP_URL=catcher.url).code for _ in range(3)]
        project.sql("update mails set status = 'sent'")
        codes += [project.run("check", SMTP_URL=catcher.url).code for _ in range(2)]
    assert codes == [1, 1, 1, 0, 0]
    assert [mail["X-Sanityd-Event"] for mail in catcher.mails] == ["opened", "resolved"]
    opened, resolved = catcher.mails
    assert resolved["In-Reply-To"] == opened["Message-ID"]


def test_twice_as_many_rows_escalate(
    project: Project, tmp_path: Path, lose_mails: Callable[[], None]
) -> None:
    lose_mails()
    with Catcher(tmp_path) as catcher:
        project.run("check", SMTP_URL=catcher.url)
        project.sql("update mails set status = 'queued' where person_id in (1, 2)")
        project.run("check", SMTP_URL=catcher.url)
        assert len(catcher.mails) == 1
        project.sql("update mails set status = 'queued' where person_id = 3")
        project.state("update outbox set ended_at = datetime(ended_at, '-10 minutes')")
        project.run("check", SMTP_URL=catcher.url)
    assert [mail["X-Sanityd-Event"] for mail in catcher.mails] == ["opened", "escalated"]


def test_a_mail_server_that_is_down_exits_3_and_loses_nothing(
    project: Project, tmp_path: Path, lose_mails: Callable[[], None]
) -> None:
    """The message waits in the outbox; `status` says so first."""
    lose_mails()
    answer = project.run("check")
    assert answer.code == 3
    assert "undelivered" in answer.out
    assert answer.out.endswith("exit 3: not every message could be delivered\n")
    assert project.run("status").out.startswith("1 message")


def test_a_mail_that_is_refused_for_good_is_not_said_to_be_retried(
    project: Project, lose_mails: Callable[[], None]
) -> None:
    lose_mails()
    with scripted(rcpt="550 5.1.1 no such user") as server:
        answer = project.run("check", SMTP_URL=f"smtp://127.0.0.1:{server.port}")
    assert answer.code == 3
    assert "1 rejected permanently; see `sanityd status`." in answer.out
    assert "retried" not in answer.out
    assert answer.out.endswith("exit 3: not every message could be delivered\n")


def test_times_are_in_the_zone_of_the_mails_which_is_named(project: Project) -> None:
    project.rules(f"{RULES}\nalerts: {{zone: Asia/Tokyo}}\n")
    hour = datetime.now(ZoneInfo("Asia/Tokyo")).hour
    heading = project.run("check").out.partition("\n")[0]
    shown = re.search(r" (\d\d):\d\d:\d\d Asia/Tokyo$", heading)
    assert shown is not None
    assert int(shown[1]) in (hour, (hour + 1) % 24)
    history = project.run("history", "every-person-has-a-welcome-mail").out
    assert history.startswith("when (Asia/Tokyo)")


def test_a_source_that_is_gone_exits_3_and_resolves_nothing(
    project: Project, tmp_path: Path, lose_mails: Callable[[], None]
) -> None:
    lose_mails()
    with Catcher(tmp_path) as catcher:
        project.run("check", SMTP_URL=catcher.url)
        (tmp_path / "app.db").rename(tmp_path / "away.db")
        answer = project.run("check", SMTP_URL=catcher.url)
        (tmp_path / "away.db").rename(tmp_path / "app.db")
        again = project.run("check", SMTP_URL=catcher.url)
    assert (answer.code, again.code) == (3, 1)
    assert answer.out.count("not checked") == 1
    assert "2 rules of app  not checked" in answer.out
    assert answer.out.endswith("exit 3: 2 rules could not be checked\n")
    assert [mail["X-Sanityd-Event"] for mail in catcher.mails] == [
        "opened",
        "source_down",
        "resolved",
    ]


def test_a_table_that_is_gone_errors_only_its_rule(project: Project) -> None:
    project.sql("drop table mails")
    answer = project.run("check")
    assert answer.code == 3
    assert "✓  no-duplicate-emails" in answer.out
    assert "?  every-person-has-a-welcome-mail" in answer.out


def test_json_is_the_documented_object(project: Project, lose_mails: Callable[[], None]) -> None:
    lose_mails()
    answer = project.run("check", "--dry-run", "--format", "json")
    document = json.loads(answer.out)
    assert answer.code == 1
    assert document["started_at"].endswith("Z")
    assert document["summary"] | {"seconds": 0} == {
        "passed": 1, "failed": 1, "errored": 0, "skipped": 0, "seconds": 0, "statements": 3,
    }  # fmt: skip
    broken = document["rules"][0]
    assert {
        key: broken[key]
        for key in ("id", "kind", "outcome", "violations", "rows", "checked", "key", "sample")
    } == {
        "id": "every-person-has-a-welcome-mail",
        "kind": "has",
        "outcome": "failed",
        "violations": 3,
        "rows": 3,
        "checked": 1000,
        "key": ["id"],
        "sample": [{"id": 7}, {"id": 77}, {"id": 777}],
    }
    assert set(broken) == {
        "id", "kind", "outcome", "violations", "rows", "checked", "severity", "effective_severity", "key", "sample",
        "proved_by", "truncated", "seconds", "error", "repeated_rows",
    }  # fmt: skip


def test_junit_has_a_case_per_rule(project: Project, lose_mails: Callable[[], None]) -> None:
    lose_mails()
    suite = ElementTree.fromstring(project.run("check", "--dry-run", "--format", "junit").out)
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    [failure] = suite.iter("failure")
    assert "3 of 1,000 people" in str(failure.get("message"))


def test_a_dry_run_leaves_nothing_behind(
    project: Project, tmp_path: Path, lose_mails: Callable[[], None]
) -> None:
    lose_mails()
    assert project.run("check", "--dry-run").code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.db", "rules.yaml"]


def test_rules_are_chosen_by_name_tag_and_source(project: Project) -> None:
    def looked_at(*words: str) -> list[str]:
        document = json.loads(project.run("check", "--dry-run", "--format", "json", *words).out)
        return [rule["id"] for rule in document["rules"]]

    assert looked_at("no-duplicate-emails") == ["no-duplicate-emails"]
    assert looked_at("--tag", "mail") == ["every-person-has-a-welcome-mail"]
    assert len(looked_at("--source", "app")) == 2
    misspelt = project.run("check", "no-duplicate-email")
    assert misspelt.code == 2
    assert "did you mean `no-duplicate-emails`?" in misspelt.err


def test_only_what_is_due_is_looked_at(project: Project) -> None:
    project.rules(RULES.replace("notify: [team]", "notify: [team]\n  schedule: daily at 00:00"))
    first = json.loads(project.run("check", "--due", "--format", "json").out)
    second = json.loads(project.run("check", "--due", "--format", "json").out)
    assert (len(first["rules"]), len(second["rules"])) == (2, 0)


def test_a_ladder_decides_severity_and_exit_code(
    project: Project, lose_mails: Callable[[], None]
) -> None:
    lose_mails()
    project.rules(RULES.replace("tags: [mail]", "severity: {warning: 1, error: 10}"))
    mild = project.run("check", "--dry-run")
    project.rules(RULES.replace("tags: [mail]", 'severity: {error: "0.3%"}'))
    exact = project.run("check", "--dry-run")
    project.rules(RULES.replace("tags: [mail]", 'severity: {error: "0.31%"}'))
    below = project.run("check", "--dry-run", "--format", "json")
    assert (mild.code, exact.code, below.code) == (0, 1, 0)
    assert "warning" in mild.out
    assert json.loads(below.out)["rules"][0]["violations"] == 3


def test_a_removed_rule_is_closed_and_never_called_fixed(
    project: Project, tmp_path: Path, lose_mails: Callable[[], None]
) -> None:
    lose_mails()
    with Catcher(tmp_path) as catcher:
        project.run("check", SMTP_URL=catcher.url)
        project.rules(
            RULES[: RULES.index("  every-person")] + RULES[RULES.index("  no-duplicate") :]
        )
        told = project.run("check", SMTP_URL=catcher.url)
        again = project.run("check", SMTP_URL=catcher.url)
    assert [mail["X-Sanityd-Event"] for mail in catcher.mails] == ["opened"]
    gone = "every-person-has-a-welcome-mail"
    assert (
        f"{gone}: no longer checked: removed from the rules file with 3 open violations" in told.out
    )
    assert gone not in again.out
    status = project.run("status").out
    assert "No rule is violated" in status
    assert f"{gone}: removed from the rules file" in status
    story = project.run("history", gone).out
    assert "violated: 3 violations, error" in story
    assert "no longer checked: the rule was removed from the file, with 3 violations open" in story
    assert "holds again" not in story
    row = project.run("history", gone, "--row", "id=7").out
    assert "is no longer checked: the rule was removed from the file" in row
    assert "is no longer a violation" not in row
    assert "was removed from the rules file" in project.run("show", gone).out


def test_a_rule_that_could_not_be_checked_when_it_left_is_not_said_to_be_checked_again(
    project: Project, tmp_path: Path
) -> None:
    project.rules(RULES.replace("unique: {columns: email,", "unique: {columns: e_mail,"))
    with Catcher(tmp_path) as catcher:
        assert project.run("check", SMTP_URL=catcher.url).code == 3
        project.rules(RULES[: RULES.index("  no-duplicate")])
        assert project.run("check", SMTP_URL=catcher.url).code == 0
    story = project.run("history", "no-duplicate-emails").out
    assert "can't be checked" in story
    assert "no longer checked: the rule was removed from the file" in story
    assert "again" not in story


def test_a_table_that_empties_is_an_error_not_green(project: Project) -> None:
    assert project.run("check").code == 0
    project.sql("delete from people; delete from mails")
    answer = project.run("check")
    assert answer.code == 3
    assert "when_empty: pass" in answer.out


def test_nothing_due_prints_nothing(project: Project) -> None:
    """cron mails whatever is printed."""
    assert project.run("check", "--due").out
    assert project.run("check", "--due") == Ended(0, "", "")


def test_an_output_that_knows_ascii_only_is_no_fault(project: Project) -> None:
    answer = project.run_anew("check", PYTHONIOENCODING="ascii")
    assert answer.code == 0
    assert "every-person-has-a-welcome-mail" in answer.out


def test_suspects_are_told_and_do_not_count_yet(
    project: Project, lose_mails: Callable[[], None]
) -> None:
    project.rules(RULES.replace("    tags: [mail]", "    confirm: 2 runs"))
    lose_mails()
    first = project.run("check")
    assert first.code == 0
    assert "3 suspects, to be confirmed by a later run" in first.out
    assert project.run("check").code != 0


def test_who_changed_a_rule_is_known_without_a_daemon(project: Project) -> None:
    """The record of changes is of the file, whichever command reads it; a dry run and a second pass
    add nothing."""
    project.run("check", "--dry-run")
    assert not (project.folder / ".sanityd").exists()
    for _ in range(2):
        project.run("check")
    project.rules(RULES.replace("ignore: [case, spaces]", "ignore: [case]"))
    project.run("check")
    told = project.state("select rule, action from audit where action like 'rule %' order by id")
    assert told[2:] == [("no-duplicate-emails", "rule changed")]
    assert {action for _, action in told[:2]} == {"rule added"}


def test_a_tag_that_no_rule_has_is_no_green(project: Project) -> None:
    answer = project.run("check", "--tag", "mial")
    assert (answer.code, "did you mean `mail`?" in answer.err) == (2, True)


def test_a_rule_that_can_not_be_looked_at_is_not_said_to_hold(project: Project) -> None:
    project.rules(
        "sources: {app: sqlite:///app.db}\nrules: {r: {table: app.people, never: nope(id)}}\n"
    )
    answer = project.run("try", "r")
    assert answer.code == 3
    assert "it holds" not in answer.out


def test_json_of_a_wrong_file_is_an_object_that_no_one_takes_for_green(project: Project) -> None:
    project.rules(RULES.replace("unique:", "uniqe:"))
    for words in ([], ["--rules", "away.yaml"]):
        answer = project.run("check", "--format", "json", *words)
        found = json.loads(answer.out)
        assert (answer.code, found["errors"], found.keys() & {"rules", "summary"}) == (2, 1, set())
        assert found["problems"][0]["message"] in answer.err


def test_what_a_query_has_read_is_not_said_to_be_nothing(project: Project) -> None:
    query = "  queried: {source: app, query: select id from people where id < 0, key: id}\n"
    project.rules(RULES[: RULES.index("  every-person")] + query)
    assert "0 rows" not in project.run("check").out
