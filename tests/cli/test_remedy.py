"""`sanityd remedy`, `check` and `status` with remedies: what they send, say and never show."""

import json
import os
from collections.abc import Callable, Iterator

import pytest

from tests.support.forked import Death, Process
from tests.support.project import Project
from tests.support.web_server import Server, serving

RULE = "every-person-has-a-welcome-mail"
RULES = """\
sources:
  app: sqlite:///app.db
rules:
  every-person-has-a-welcome-mail:
    table: app.people
    key: id
    has: {in: app.mails, on: {id: person_id}, where: "template = 'welcome' and status = 'sent'"}
    within: 10m of created_at
    remedy:
      http:
        url: "${MAILER_URL}/resend"
        headers: {Authorization: "Bearer ${MAILER_TOKEN}"}
        json: {person_id: "{key.id}"}
        timeout: 5s
      rate: 50 per second
      auto: AUTO
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving() as server:
        monkeypatch.setenv("MAILER_URL", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("MAILER_TOKEN", "s3cret-token")
        monkeypatch.setenv("SANITYD_AUTHOR", "ana")
        yield server


@pytest.fixture
def broken(project: Project, lose_mails: Callable[[], None], server: Server) -> Project:
    """Three people have no welcome mail, and a person has to decide."""
    project.rules(RULES.replace("AUTO", "no"))
    lose_mails()
    assert project.run("check").code == 1
    return project


def people(server: Server) -> list[int]:
    return sorted(json.loads(got.body)["person_id"] for got in server.got)


def ids(server: Server) -> set[str]:
    return {got.headers["idempotency-key"] for got in server.got}


def test_a_dry_run_prints_the_requests_and_sends_nothing(broken: Project, server: Server) -> None:
    said = broken.run("remedy", RULE, "id=77", "--dry-run")
    assert (said.code, said.err) == (0, "")
    assert "POST ${MAILER_URL}/resend\n" in said.out
    assert "Authorization: ***\n" in said.out
    assert '{"person_id": 77}' in said.out
    assert "1 request would be sent; nothing was." in said.out
    assert "s3cret" not in said.out
    assert server.got == []
    assert broken.state("select count(*) from remedies") == [(0,)]


def test_a_person_repairs_all_rows_once(broken: Project, server: Server) -> None:
    said = broken.run("remedy", RULE, "--reason", "the queue lost them")
    assert (said.code, said.err) == (0, "")
    assert f"{RULE}: 3 requests: 3 done." in said.out
    assert "Nothing counts as repaired" in said.out
    assert people(server) == [7, 77, 777]
    assert server.got[0].headers["authorization"] == "Bearer s3cret-token"
    again = broken.run("remedy", RULE, "--reason", "once more")
    assert "nothing is to be sent. 3 were accepted before" in again.out
    assert len(server.got) == 3
    assert "no row is violated" not in broken.run("status").out
    assert "the queue lost them" in broken.run("history", RULE).out
    assert b"s3cret" not in (broken.folder / ".sanityd" / "state.db").read_bytes()


def test_a_remedy_that_is_found_to_be_stopped_is_and_can_be_resumed(
    broken: Project, server: Server
) -> None:
    assert broken.run("remedy", RULE, "id=7", "--reason", "so").code == 0
    broken.state("update remedies set ended_at = '2000-01-01 00:00:00'")
    again = broken.run("remedy", RULE, "--reason", "so")
    assert "is stopped: 1 row that was repaired is violated again" in again.err
    assert len(server.got) == 1
    assert "goes on" in broken.run("remedy", RULE, "--resume", "--reason", "so").out


def test_a_batch_that_was_replaced_by_a_smaller_one_counts_with_it(
    broken: Project, server: Server
) -> None:
    batch = RULES.replace("AUTO", "no\n      per: batch")
    broken.rules(batch.replace('{person_id: "{key.id}"}', '["{key.id}"]'))
    assert broken.run("remedy", RULE, "--reason", "so").code == 0
    # As if it had been recorded only, and not sent.
    broken.state("update remedies set state = 'planned', fence = 0, ended_at = null")
    assert broken.run("accept", RULE, "--row", "id=7", "--reason", "so").code == 0
    server.answers = [404]
    said = broken.run("remedy", RULE, "--reason", "so")
    assert (said.code, json.loads(server.got[-1].body)) == (3, [77, 777])
    assert "2 requests: " in said.out
    assert "1 cancelled" in said.out
    assert "1 refused" in said.out


def test_what_was_refused_is_said_everywhere(broken: Project, server: Server) -> None:
    server.answers = [404]
    said = broken.run("remedy", RULE, "id=7", "--reason", "so")
    assert said.code == 3
    assert "1 request: 1 refused.\n  the server refused it (404)" in said.out
    assert "1 refused; last error: the server refused it (404)" in broken.run("status").out
    [about] = json.loads(broken.run("status", "--format", "json").out)["remedies"]
    assert (about["rule"], about["requests"]["refused"]) == (RULE, 1)
    assert "remedy refused" in broken.run("history", RULE).out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([RULE], "say why, with --reason"),
        (["every-persn", "--reason", "x"], "there is no rule `every-persn`"),
        ([RULE, "7", "--reason", "x"], "`7` is not a key"),
        ([RULE, "id=8", "--reason", "x"], "no row of"),
        ([RULE, "--resume", "--reason", "x"], "is not stopped"),
    ],
)
def test_what_can_not_be_is_said_with_what_to_do(
    broken: Project, server: Server, words: list[str], told: str
) -> None:
    said = broken.run("remedy", *words)
    assert said.code in (2, 3)
    assert told in said.err
    assert server.got == []


@pytest.mark.parametrize(
    "death",
    [
        Death("sanityd.pipeline.remedies.running", "attempt", "before"),
        Death("sanityd.pipeline.remedies.running", "attempt", "after"),
    ],
    ids=["before the request", "before the answer is recorded"],
)
def test_who_dies_between_the_record_and_the_answer_is_followed_with_the_same_id(
    broken: Project, server: Server, death: Death
) -> None:
    """Only `at least once` can be promised; under one id the receiver makes it `once`."""
    broken.rules(RULES.replace("AUTO", "yes"))
    assert broken.begin({}, death).end().code == -9
    [(state, name)] = broken.state("select state, id from remedies where attempts > 0")
    assert state == "sent"
    assert (name in ids(server)) == (death.when == "after")
    # The lease of the dead.
    broken.state("update remedies set leased_until = '2026-01-01 00:00:00'")
    assert broken.run("check").code == 1
    assert (len(ids(server)), set(people(server))) == (3, {7, 77, 777})
    assert len(server.got) == (4 if death.when == "after" else 3)
    assert broken.state("select distinct state from remedies") == [("done",)]


def test_a_literal_token_in_the_file_is_not_kept_in_the_store(
    broken: Project, server: Server
) -> None:
    broken.rules(RULES.replace("AUTO", "no").replace("${MAILER_TOKEN}", "l1teral-token"))
    assert broken.run("check").code == 1
    assert b"l1teral" not in (broken.folder / ".sanityd" / "state.db").read_bytes()


def test_the_daemon_repairs_by_itself(broken: Project, server: Server) -> None:
    broken.rules(RULES.replace("AUTO", "yes"))
    daemon = Process(broken.folder, ["serve"], dict(os.environ))
    try:
        broken.wait_for("select count(*) from remedies where state = 'done'", 3, 60)
    finally:
        daemon.kill()
    assert people(server) == [7, 77, 777]
