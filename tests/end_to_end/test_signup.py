"""The worked example `examples/signup/`: each trouble is found, each question is answered, and many
rounds of deaths and lost answers end with one mail for each person."""

import json
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, select, update

from examples.signup import mailer, tables, web
from examples.signup.app import AddressTakenError, App, QueueTimeoutError
from examples.signup.gateway import Gateway
from examples.signup.mailer import Mailer
from examples.signup.proxy import CUT_AFTER, CUT_BEFORE, DELAY, PASS, Proxy
from examples.signup.rounds import Rounds
from examples.signup.troubles import Trouble
from examples.signup.worker import Worker
from sanityd.authoring.ruletests.runner import CaseRunner
from sanityd.authoring.ruletests.suite import read, run_suite
from tests import ROOT
from tests.docs import pages
from tests.support.project import Project

EXAMPLE = ROOT / "examples" / "signup"
LONG_AGO = timedelta(hours=1)


@dataclass
class World:
    """The application, the mailer behind a proxy, and the gateway behind another."""

    project: Project
    app: App
    gateway: Gateway
    mailer: Mailer
    mailer_url: str
    to_mailer: Proxy
    to_gateway: Proxy
    #: What the proxies do with the next connections.
    fates_to_mailer: list[str] = field(default_factory=list)
    fates_to_gateway: list[str] = field(default_factory=list)
    #: Where sanityd finds the databases, if not in the folder.
    environment: dict[str, str] = field(default_factory=dict)

    def worker(self, *troubles: Trouble) -> Worker:
        """One whose second attempt comes soon."""
        wait, lease = timedelta(milliseconds=20), timedelta(milliseconds=300)
        return Worker(self.app.engine, self.to_mailer.url, troubles, lease, wait)

    def work(self, *troubles: Trouble) -> None:
        """Until the queue is empty."""
        assert self.worker(*troubles).work_until_empty(20)

    def sign_up(self, *names: str) -> None:
        """An hour ago, so that it is judged."""
        for name in names:
            self.app.sign_up(name, f"{name}@example.com", name, tables.now() - LONG_AGO)

    def violated(self) -> dict[str, int]:
        """The rules that don't hold, with the number of their violations."""
        ended = self.project.run("check", "--dry-run", "--format", "json", **self.environment)
        assert ended.code in (0, 1), ended.err + ended.out
        rules = json.loads(ended.out)["rules"]
        return {rule["id"]: rule["violations"] for rule in rules if rule["outcome"] == "failed"}

    def states(self) -> Counter[str]:
        """How many jobs are in which state."""
        with self.app.engine.connect() as connection:
            return Counter(connection.execute(select(tables.jobs.c.state)).scalars())


def drawing(fates: list[str]) -> Callable[[], str]:
    return lambda: fates.pop(0) if fates else PASS


@contextmanager
def world_of(project: Project, app_url: str, mailer_url: str) -> Iterator[World]:
    """Nobody has signed up yet."""
    project.rules((EXAMPLE / "rules.yaml").read_text(encoding="utf-8"))
    app = App(tables.connect(app_url, tables.app))
    engine = tables.connect(mailer_url, tables.mailer)
    gateway = Gateway()
    fates: tuple[list[str], list[str]] = [], []
    with (
        web.Service(gateway) as served_gateway,
        Proxy(served_gateway.server_address[1], drawing(fates[1])) as to_gateway,
    ):
        service = Mailer(engine, to_gateway.url, timedelta(milliseconds=300))
        with (
            web.Service(service) as served,
            Proxy(served.server_address[1], drawing(fates[0])) as to_mailer,
        ):
            yield World(project, app, gateway, service, served.url, to_mailer, to_gateway, *fates)
            gateway.is_open.set()
    app.engine.dispose()
    engine.dispose()


@pytest.fixture
def world(project: Project, tmp_path: Path) -> Iterator[World]:
    """On SQLite."""
    (tmp_path / "app.db").unlink(missing_ok=True)
    urls = (f"sqlite:///{tmp_path}/{name}.db" for name in ("app", "mailer"))
    with world_of(project, *urls) as made:
        yield made


def test_when_all_is_well_every_rule_holds(world: World) -> None:
    world.sign_up("ada", "bert")
    world.work()
    assert world.violated() == {}
    assert world.gateway.counts() == {"ada": 1, "bert": 1}


def test_who_has_just_signed_up_is_not_judged_yet(world: World) -> None:
    world.app.sign_up("ada", "ada@example.com")
    assert world.violated() == {}


def test_a_queue_time_out_loses_a_mail_which_is_found(world: World) -> None:
    world.app.troubles = frozenset({Trouble.QUEUE_TIMEOUT})
    with pytest.raises(QueueTimeoutError):
        world.sign_up("ada")
    with pytest.raises(AddressTakenError):
        world.sign_up("ada")
    world.work()
    assert world.violated() == {"every-person-has-a-welcome-mail": 1}


def test_a_worker_that_is_faster_than_the_commit_drops_the_job_which_is_found(world: World) -> None:
    world.app.troubles = frozenset({Trouble.EVENT_BEFORE_COMMIT})
    world.app.before_commit = world.work
    world.sign_up("ada")
    world.work()
    assert world.states() == {"dropped": 1}
    assert world.violated() == {"every-person-has-a-welcome-mail": 1}


def test_an_event_whose_commit_failed_is_found(world: World) -> None:
    world.sign_up("ada")
    world.app.troubles = frozenset({Trouble.EVENT_BEFORE_COMMIT})
    with pytest.raises(AddressTakenError):
        world.app.sign_up("Ada", "ada@example.com", "second", tables.now() - LONG_AGO)
    world.work()
    assert world.violated() == {"every-job-has-its-person": 1}


def test_a_retry_without_its_id_sends_twice_which_is_found(world: World) -> None:
    world.sign_up("ada")
    world.fates_to_mailer.append(CUT_AFTER)
    world.work(Trouble.RETRY_WITHOUT_ID)
    assert world.gateway.counts() == {"ada": 2}
    assert "nobody-gets-two-welcome-mails" in world.violated()


def test_a_retry_with_its_id_sends_once(world: World) -> None:
    world.sign_up("ada")
    world.fates_to_mailer += [CUT_AFTER, CUT_BEFORE, DELAY, CUT_AFTER]
    world.work()
    assert world.gateway.counts() == {"ada": 1}
    assert world.violated() == {}


def test_all_of_it_works_on_postgresql(project: Project, postgres: str) -> None:
    url = make_url(postgres).set(drivername="postgresql+psycopg")
    with world_of(project, *[url.render_as_string(hide_password=False)] * 2) as world:
        world.environment = {"APP_DATABASE_URL": postgres, "MAILER_DATABASE_URL": postgres}
        world.sign_up("ada")
        world.fates_to_mailer += [CUT_AFTER, CUT_BEFORE]
        world.fates_to_gateway.append(CUT_AFTER)
        world.app.troubles = frozenset({Trouble.QUEUE_TIMEOUT})
        with pytest.raises(QueueTimeoutError):
            world.sign_up("bert")
        world.work()
        assert world.violated() == {"every-person-has-a-welcome-mail": 1}
        assert [world.app.resend("r1", "bert").status for _ in range(2)] == [202, 202]
        assert world.app.resend("r1", "ada").status == 422
        world.work()
        assert [ask(world, "r2").status for _ in range(2)] == [200, 200]
        assert ask(world, "r2", person_id="bert").status == 422
        assert world.gateway.counts() == {"ada": 2, "bert": 1}
        assert world.violated() == {"nobody-gets-two-welcome-mails": 1}


@pytest.mark.parametrize("troubles", [[], [Trouble.HALF_DONE_REPLAY]])
def test_a_batch_that_is_started_again_half_way(world: World, troubles: list[Trouble]) -> None:
    rows = [(name, name, f"{name}@example.com") for name in ("ada", "bert", "cleo", "dora")]
    world.app.import_people(rows, "shop", tables.now() - LONG_AGO)
    worker = world.worker(*troubles)
    worker.work()
    worker.work()
    world.app.replay("shop")
    world.work(*troubles)
    assert sorted(world.gateway.counts().values()) == ([1, 1, 2, 2] if troubles else [1, 1, 1, 1])
    violated = world.violated()
    assert violated.get("nobody-gets-two-welcome-mails") == (2 if troubles else None)
    assert bool(troubles) == bool(violated)


def test_an_import_past_validations_is_found(world: World) -> None:
    world.sign_up("ada")
    world.app.troubles = frozenset({Trouble.IMPORT_PAST_VALIDATIONS})
    rows = [("second", "Ada", "Ada@example.com "), ("bert", "Bert", "bert@example.com")]
    world.app.import_people(rows, "shop", tables.now() - LONG_AGO)
    world.work()
    assert world.violated() == {
        "every-person-has-a-welcome-mail": 2,
        "no-duplicate-emails": 1,
        "status-is-known": 2,
    }


def test_an_import_with_validations_skips_known_addresses_and_greets_the_others(
    world: World,
) -> None:
    world.sign_up("ada")
    rows = [("second", "Ada", "Ada@example.com "), ("bert", "Bert", "bert@example.com")]
    world.app.import_people(rows, "shop", tables.now() - LONG_AGO)
    world.work()
    assert world.gateway.counts() == {"ada": 1, "bert": 1}
    assert world.violated() == {}


def test_what_waits_for_long_is_found(world: World) -> None:
    world.sign_up("ada")
    world.gateway.refuse = 1
    assert world.worker().work()
    for table, engine in ((tables.jobs, world.app.engine), (tables.requests, world.mailer.engine)):
        with engine.begin() as connection:
            connection.execute(update(table).values(created_at=tables.now() - 2 * LONG_AGO))
    assert world.violated() == {
        "every-person-has-a-welcome-mail": 1,
        "no-job-waits-for-long": 1,
        "no-request-is-stuck": 1,
    }


MAIL = {"person_id": "ada", "template": "welcome", "address": "ada@example.com"}


def ask(world: World, request_id: str, **changes: str) -> web.Answer:
    return web.send("POST", f"{world.mailer_url}/mails", {**MAIL, **changes}, request_id)


def test_the_same_request_gets_the_same_answer_and_sends_nothing(world: World) -> None:
    answers = [ask(world, "r1") for _ in range(3)]
    assert {answer.status for answer in answers} == {200}
    assert [answer.body for answer in answers] == [{"id": "r1", "status": "sent"}] * 3
    assert [answer.headers.get("Idempotent-Replayed") for answer in answers] == [
        None,
        "true",
        "true",
    ]
    assert world.gateway.counts() == {"ada": 1}


def test_an_id_that_clashes_sends_nothing(world: World) -> None:
    ask(world, "r1")
    assert ask(world, "r1", person_id="bert").status == 422
    assert world.gateway.counts() == {"ada": 1}


def test_of_two_requests_at_once_one_is_performed(world: World) -> None:
    world.mailer.lease = timedelta(seconds=30)
    world.gateway.is_open.clear()
    first: list[web.Answer] = []
    thread = threading.Thread(target=lambda: first.append(ask(world, "r1")))
    thread.start()
    while not world.to_gateway.counts[PASS]:
        pass
    second = ask(world, "r1")
    assert (second.status, second.headers["Retry-After"]) == (409, "1")
    world.gateway.is_open.set()
    thread.join(10)
    assert first[0].status == ask(world, "r1").status == 200
    assert world.gateway.counts() == {"ada": 1}


def test_what_the_gateway_refused_is_not_recorded_as_done(world: World) -> None:
    world.gateway.refuse = 1
    assert ask(world, "r1").status == 503
    assert world.gateway.counts() == {}
    assert ask(world, "r1").status == 200
    assert world.gateway.counts() == {"ada": 1}


def test_what_the_gateway_took_without_an_answer_is_sent_once(world: World) -> None:
    world.fates_to_gateway.append(CUT_AFTER)
    assert ask(world, "r1").status == 503
    assert ask(world, "r1").status == 200
    assert (world.gateway.counts(), world.gateway.repeated) == ({"ada": 1}, 1)


def test_a_request_of_a_process_that_died_is_taken_over(world: World) -> None:
    """It had claimed the request; then nothing more was heard of it."""
    world.mailer.lease = timedelta(seconds=30)
    body: dict[str, Any] = dict(MAIL)
    assert world.mailer._claim("r1", mailer._digest(body)) == 1
    assert ask(world, "r1").status == 409
    with world.mailer.engine.begin() as connection:
        connection.execute(update(tables.requests).values(leased_until=tables.now() - LONG_AGO))
    assert ask(world, "r1").status == 200
    # It was only slow: it must not record a second mail.
    assert world.mailer._finish("r1", body, 1).status == 409
    assert world.gateway.counts() == {"ada": 1}


@pytest.mark.parametrize("body", [{}, {"person_id": "ada"}, {**MAIL, "extra": "1"}])
def test_a_request_without_its_id_or_fields_is_refused(world: World, body: dict[str, str]) -> None:
    assert web.send("POST", f"{world.mailer_url}/mails", body, "r1").status == 400
    assert web.send("POST", f"{world.mailer_url}/mails", MAIL, "").status == 400
    assert world.gateway.counts() == {}


def test_the_form_signs_up_and_says_what_is_wrong(world: World) -> None:
    def post(url: str, **fields: str) -> tuple[int, str]:
        data = urllib.parse.urlencode(fields).encode()
        try:
            with urllib.request.urlopen(f"{url}/people", data, 10) as answer:  # noqa: S310 (ours)
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    with web.Service(world.app) as service:
        with urllib.request.urlopen(service.url, timeout=10) as page:  # noqa: S310 (ours)
            assert "<form" in page.read().decode()
        status, text = post(service.url, name="<Ada>", email="Ada@Example.com")
        assert (status, "&lt;Ada&gt;" in text) == (201, True)
        assert post(service.url, name="Ada", email="ada@example.com ")[0] == 409
        assert post(service.url, name="Ada", email="nothing")[0] == 422
    world.work()
    assert list(world.gateway.counts().values()) == [1]


def test_a_resend_is_performed_once_and_never_mails_twice(world: World) -> None:
    world.sign_up("ada")
    world.work()
    for _ in range(2):
        answer = world.app.resend("fingerprint-1", "ada")
        assert (answer.status, answer.body["id"]) == (202, "fingerprint-1")
    world.work()
    assert world.app.resend("fingerprint-1", "bert").status == 422
    assert world.app.resend("fingerprint-2", "nobody").status == 404
    assert world.gateway.counts() == {"ada": 1}


def test_a_resend_brings_what_was_lost(world: World) -> None:
    world.app.troubles = frozenset({Trouble.QUEUE_TIMEOUT})
    with pytest.raises(QueueTimeoutError):
        world.sign_up("ada")
    with web.Service(world.app) as service:
        body = {"person_id": "ada"}
        assert web.send("POST", f"{service.url}/resend", body, "fingerprint-1").status == 202
        assert web.send("POST", f"{service.url}/resend", body, "").status == 400
    world.work()
    assert world.violated() == {}


def test_the_rules_have_tests_that_leave_nothing_unshown() -> None:
    with CaseRunner() as runner:
        report = run_suite(read(EXAMPLE / "rules.yaml"), runner)
    assert [verdict.case.title for verdict in report.verdicts if not verdict.passed] == []
    assert [gap.message for gap in report.gaps] == []


@pytest.mark.long
@pytest.mark.timeout(600)
def test_after_rounds_of_kills_and_lost_answers_everybody_has_one_mail(tmp_path: Path) -> None:
    with Rounds(tmp_path, seed=3) as rounds:
        for number in range(6):
            rounds.play(number)
        table = rounds.table()
    counts = {line.name.strip(): line.count for line in table}
    assert [str(line) for line in table if not line.is_right] == []
    assert counts["kills of sanityd"] + counts["kills of the worker"] > 0
    assert counts["connections: cut after"] > 0
    assert counts["violations found"] > 0


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_readme_shows_what_the_demo_prints() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "examples.signup.demo"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    [shown] = (
        block.text.partition("\n")[2]
        for block in pages.blocks(EXAMPLE / "README.md", "console")
        if "scripts/demo --signup" in block.text
    )
    differs = pages.difference(shown, ended.stdout)
    assert not differs, differs
