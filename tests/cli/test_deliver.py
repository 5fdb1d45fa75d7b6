"""`sanityd deliver`: what waits in the outbox is sent now, and what can't be is told."""

from collections.abc import Callable
from pathlib import Path

from sanityd.authoring.demo.catcher import Catcher
from tests.support.project import Project


def test_what_waits_for_a_server_is_sent_when_asked(
    project: Project, tmp_path: Path, lose_mails: Callable[[], None]
) -> None:
    assert project.run("deliver").out == "No message waits: nothing was checked yet.\n"
    assert not (tmp_path / ".sanityd").exists()
    lose_mails()
    assert project.run("check").code == 3
    failed = project.run("deliver")
    assert failed.code == 3
    assert failed.out.startswith("0 messages delivered, 1 to be tried again.\n  team: ")
    # As after hours without a server.
    project.state("UPDATE outbox SET not_before = '2099-01-01 00:00:00.000000', attempts = 6")
    (tmp_path / "caught").mkdir()
    with Catcher(tmp_path / "caught") as catcher:
        sent = project.run("deliver", SMTP_URL=catcher.url)
        assert (sent.code, sent.out) == (0, "1 message delivered.\n")
        assert [mail["X-Sanityd-Event"] for mail in catcher.mails] == ["opened"]
        assert project.run("deliver", SMTP_URL=catcher.url).out == "No message waits.\n"


def test_without_valid_rules_nothing_is_sent(project: Project) -> None:
    project.rules("rules: nonsense\n")
    answer = project.run("deliver")
    assert (answer.code, answer.out) == (2, "")
