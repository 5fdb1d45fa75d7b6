"""SIGKILL at every step from "rows read" to "mail sent": nothing is lost, and nothing doubled but
by a lost answer."""

import shutil
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest

from sanityd.authoring.demo import story
from tests.support import kill_counts
from tests.support.forked import Death, Process
from tests.support.project import RULES, Project
from tests.support.smtp_server import HANG, Mailbox, Script, scripted, working


@dataclass(frozen=True)
class Trouble:
    """What is wrong with the data, so that one mail is to be sent, and how it is mended."""

    event: str
    incidents: int
    begin: Callable[[Project], None]
    mend: Callable[[Project], None]


def lose(project: Project) -> None:
    project.sql("UPDATE mails SET status = 'queued' WHERE person_id IN (7, 77, 777)")


def find(project: Project) -> None:
    project.sql("UPDATE mails SET status = 'sent'")


def double(project: Project) -> None:
    lose(project)
    project.sql("UPDATE people SET email = 'PERSON8@example.com ' WHERE id = 9")


def part(project: Project) -> None:
    find(project)
    project.sql("UPDATE people SET email = 'person9@example.com' WHERE id = 9")


def unplug(project: Project) -> None:
    (project.folder / "app.db").rename(project.folder / "away.db")


def plug(project: Project) -> None:
    (project.folder / "away.db").rename(project.folder / "app.db")


ONE = Trouble("opened", 1, lose, find)
TWO = Trouble("opened", 2, double, part)
DOWN = Trouble("source_down", 1, unplug, plug)

#: While the lease of who died goes on, when it has ended long ago, and when the data is right
#: again.
SOON, LATER, MENDED = timedelta(seconds=40), timedelta(hours=2), timedelta(hours=3)


@dataclass
class World:
    """An application in trouble, sanityd's memory, a mail server, and those who died."""

    project: Project
    trouble: Trouble
    box: Mailbox
    dead: list[Death] = field(default_factory=list)

    def begin(
        self, death: Death | None = None, *, later: timedelta = timedelta(0), waits: bool = False
    ) -> Process:
        """A pass, which may die on the way."""
        return self.project.begin(smtp(self.box.port), death, later=later, waits=waits)

    def die(self, death: Death) -> None:
        """A pass that kills itself there."""
        ended = self.begin(death).end()
        assert ended.code == -signal.SIGKILL, ended.err
        self.dead.append(death)

    def kill(self, process: Process, death: Death) -> None:
        """One that waits there."""
        assert process.kill().code == -signal.SIGKILL
        self.dead.append(death)

    def arrived(self) -> list[EmailMessage]:
        """All mails, once the server has read what the dead have sent."""
        until = time.monotonic() + 10
        while self.box.talks:
            assert time.monotonic() < until
            time.sleep(0.01)
        return [mail for _, mail in self.box.mails]

    def unanswered(self) -> set[str]:
        """The mails that the server has taken, and of which nobody could write that down."""
        sent = {
            row[0]
            for row in self.project.state("SELECT message_id FROM outbox WHERE state = 'sent'")
        }
        return {mail["Message-ID"] for mail in self.arrived()} - sent

    def revive(self) -> int:
        """Healthy passes, soon and late: all is told, once, and once more what was not answered.
        Returns how many came twice."""
        lost = self.unanswered()
        self.go(SOON)
        assert len(self.arrived()) <= 1
        self.go(LATER)
        copies = self.copies(self.trouble.event)
        assert len(copies) == 1
        assert copies == {name: 1 + (name in lost) for name in copies}
        assert self.incidents_told() == self.trouble.incidents
        self.is_whole(self.trouble.incidents)
        return self.count(copies, lost)

    def go(self, later: timedelta) -> None:
        """A pass of a healthy process."""
        self.begin(later=later).end()

    def copies(self, *events: str) -> Counter[str]:
        """How often each mail arrived. There are no others than those of these events."""
        mails = self.arrived()
        assert {mail["X-Sanityd-Event"] for mail in mails} <= {*events}
        return Counter(mail["Message-ID"] for mail in mails)

    def count(self, copies: Counter[str], lost: set[str]) -> int:
        """Keep it for the figures of the run."""
        doubled = sum(count > 1 for count in copies.values())
        kill_counts.count([name_of(death) for death in self.dead], len(copies), doubled, len(lost))
        return doubled

    def mend(self) -> None:
        """The data is right again, and that is told, once."""
        self.trouble.mend(self.project)
        self.go(MENDED)
        assert [mail["X-Sanityd-Event"] for mail in self.arrived()][-2:] == [
            self.trouble.event,
            "resolved",
        ]
        self.is_whole(0)

    def incidents_told(self) -> int:
        """Of how many incidents a mail has told."""
        [(count,)] = self.project.state(
            "SELECT count(DISTINCT incident) FROM news JOIN outbox ON message = seq WHERE state = 'sent'"
        )
        return int(count)

    def is_whole(self, incidents: int) -> None:
        """The store is sound, holds what is open exactly once, and has nothing left to send."""
        state = self.project.state
        assert state("PRAGMA integrity_check") == [("ok",)]
        assert state("PRAGMA foreign_key_check") == []
        assert state(
            "SELECT count(*), count(DISTINCT rule) FROM incidents WHERE resolved_at IS NULL"
        ) == [(incidents, incidents)]
        assert state(
            "SELECT count(*) FROM outbox WHERE state IN ('pending', 'leased', 'dead', 'uncertain')"
        ) == [(0,)]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a pass has found nothing."""
    project = Project(tmp_path_factory.mktemp("healthy"))
    project.rules(RULES)
    story.begin(project.folder / "app.db")
    assert project.run("check").code == 0
    return project.folder


@contextmanager
def in_trouble(healthy: Path, folder: Path, trouble: Trouble) -> Iterator[World]:
    """A copy of the healthy folder, and what befell it."""
    shutil.copytree(healthy, folder, dirs_exist_ok=True)
    project = Project(folder)
    # On Mondays a digest is mailed also when there is nothing to report.
    project.rules(RULES + "\nalerts: {digest: {at: null}}\n")
    trouble.begin(project)
    with working() as box:
        yield World(project, trouble, box)


@pytest.fixture
def two(healthy: Path, tmp_path: Path) -> Iterator[World]:
    """Two rules are violated at once, which one mail tells."""
    with in_trouble(healthy, tmp_path, TWO) as made:
        yield made


def smtp(port: int) -> dict[str, str]:
    """The environment that names the mail server."""
    return {"SMTP_URL": f"smtp://127.0.0.1:{port}"}


def name_of(death: Death) -> str:
    return f"{death.when}-{death.name}" + (f"-{death.times}" if death.times > 1 else "")


def deaths(module: str, name: str, *times: int) -> list[Death]:
    """Before and after a function, at its first or at those calls."""
    return [Death(module, name, when, n) for n in times or (1,) for when in ("before", "after")]


def at(when: str, name: str, times: int = 1) -> Death:
    """One of those below, by its name."""
    return next(
        one for one in (*STEPS, *COMMITS) if (one.when, one.name, one.times) == (when, name, times)
    )


STEPS = [
    *deaths("sanityd.pipeline", "evaluate"),
    *deaths("sanityd.pipeline", "record"),
    *deaths("sanityd.store.violations", "apply"),
    *deaths("sanityd.store.runs", "record_all"),
    *deaths("sanityd.notifications.noise_review", "judge"),
    *deaths("sanityd.pipeline", "record_outages"),
    *deaths("sanityd.store.incidents", "save_all"),
    *deaths("sanityd.pipeline", "notify"),
    *deaths("sanityd.alerts.compose.render", "render"),
    *deaths("sanityd.store.outbox", "enqueue"),
    # Between the row of a message and those of what it tells.
    *deaths("sanityd.store.outbox", "_news_row"),
    *deaths("sanityd.store.incidents", "save_decisions"),
    *deaths("sanityd.pipeline", "run_batch"),
    *deaths("sanityd.store.outbox", "Outbox.claim"),
    *deaths("sanityd.alerts.channels.email", "Email.deliver"),
    *deaths("sanityd.store.outbox", "Outbox.sent"),
]

#: What `check` commits, in order: it opens the store, reads the stored rules, looks whether rules
#: were renamed or changed (three), reads what is open, writes what it saw, forgets what was removed,
#: tells, claims, writes that it was sent, claims in vain, and looks what is left.
WHAT_IT_SAW, WHAT_IT_TELLS, ITS_CLAIM, ITS_SUCCESS, LAST = 7, 9, 10, 11, 13
COMMIT = "DefaultDialect.do_commit"
COMMITS = deaths("sqlalchemy.engine.default", COMMIT, *range(1, LAST + 1))

#: The server has the mail, and nobody could write that down.
ANSWER_LOST = [
    at("after", "Email.deliver"),
    at("before", "Outbox.sent"),
    at("before", COMMIT, ITS_SUCCESS),
]


@pytest.mark.parametrize("death", [*STEPS, *COMMITS], ids=name_of)
def test_whoever_dies_wherever_the_mail_arrives(two: World, death: Death) -> None:
    """Twice only where the server had taken it and nobody could write that down; then under the
    same Message-ID."""
    two.die(death)
    assert two.revive() == (death in ANSWER_LOST)
    two.mend()


@pytest.mark.parametrize("death", STEPS[1::4] + STEPS[-1:], ids=name_of)
def test_a_single_rule_is_told_by_whoever_is_left(
    healthy: Path, tmp_path: Path, death: Death
) -> None:
    with in_trouble(healthy, tmp_path, ONE) as world:
        world.die(death)
        assert world.revive() == (death in ANSWER_LOST)
        world.mend()


@pytest.mark.parametrize("death", [STEPS[10], *STEPS[14::2]], ids=name_of)
def test_a_source_that_is_down_is_told_by_whoever_is_left(
    healthy: Path, tmp_path: Path, death: Death
) -> None:
    with in_trouble(healthy, tmp_path, DOWN) as world:
        world.die(death)
        assert world.revive() == (death in ANSWER_LOST)
        world.mend()


#: What smtplib sends, in order; and when the server has the mail.
VERBS = ("ehlo", "mail", "rcpt", "data", "body", "dot", "quit")
TAKEN = (("after", "dot"), ("before", "quit"), ("after", "quit"))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("verb", VERBS)
def test_only_who_dies_after_the_dot_mails_twice(two: World, when: str, verb: str) -> None:
    """The server throws away a mail without its dot, so it must come again; one with it came, so it
    comes twice."""
    two.die(Death("smtplib", "SMTP.send", when, 1 + VERBS.index(verb)))
    assert two.revive() == ((when, verb) in TAKEN)


#: For so long a pass gets no further than a lock that another holds.
MEANWHILE = 0.5


@pytest.mark.parametrize("death", [*STEPS[1::2], *COMMITS[2 * WHAT_IT_TELLS - 2 :: 2]], ids=name_of)
def test_while_one_is_dying_another_goes_on(two: World, death: Death) -> None:
    """One stops there, with what it has locked and leased; another passes, or waits; then the first
    is killed."""
    dying = two.begin(death, waits=True)
    assert dying.arrive()
    other = two.begin()
    other.is_over(MEANWHILE)
    two.kill(dying, death)
    assert other.end().code >= 0
    two.revive()


BOTH = [
    (at("after", "evaluate"), at("before", COMMIT, WHAT_IT_SAW)),
    (at("after", "record"), at("after", "enqueue")),
    (at("after", "save_all"), at("after", "Outbox.claim")),
    (at("before", "enqueue"), at("after", "Email.deliver")),
    (at("after", "_news_row"), at("before", "Outbox.sent")),
    (at("before", COMMIT, WHAT_IT_SAW), at("after", "Outbox.sent")),
    (at("after", COMMIT, WHAT_IT_SAW), at("after", "Email.deliver")),
    (at("after", "run_batch"), at("before", COMMIT, ITS_CLAIM)),
    (at("before", COMMIT, ITS_CLAIM), at("after", COMMIT, ITS_CLAIM)),
    (at("after", "Outbox.claim"), at("after", "record")),
    (at("before", "Email.deliver"), at("before", COMMIT, WHAT_IT_TELLS)),
    (at("after", "Email.deliver"), at("after", "evaluate")),
    (at("before", "Outbox.sent"), at("after", "run_batch")),
    (at("before", COMMIT, ITS_SUCCESS), at("before", COMMIT, WHAT_IT_SAW)),
]


@pytest.mark.parametrize(("death", "other"), BOTH, ids=name_of)
def test_when_two_die_at_once_the_third_tells(two: World, death: Death, other: Death) -> None:
    dying = two.begin(death, waits=True)
    assert dying.arrive()
    second = two.begin(other, waits=True)
    second.is_over(MEANWHILE)
    two.kill(dying, death)
    assert second.arrive()
    two.kill(second, other)
    two.revive()
    two.mend()


END_STEPS = [
    *deaths("sanityd.store.incidents", "save_all"),
    *deaths("sanityd.store.outbox", "cancel_resolved"),
    *deaths("sanityd.store.outbox", "enqueue"),
    *deaths("sanityd.store.outbox", "Outbox.claim"),
    *deaths("sanityd.alerts.channels.email", "Email.deliver"),
    *COMMITS[2 * WHAT_IT_SAW - 2 : 2 * ITS_SUCCESS : 2],
]


@pytest.mark.parametrize("death", END_STEPS, ids=name_of)
def test_who_dies_before_the_end_is_told_tells_it_later(two: World, death: Death) -> None:
    two.go(timedelta(0))
    two.trouble.mend(two.project)
    two.die(death)
    lost = two.unanswered()
    two.go(SOON)
    two.go(LATER)
    copies = two.copies("opened", "resolved")
    assert copies == {name: 1 + (name in lost) for name in copies}
    assert len(copies) == 2
    two.is_whole(0)
    two.count(copies, lost)


BEGIN_STEPS = [
    at("before", COMMIT, WHAT_IT_SAW),
    at("after", "run_batch"),
    at("after", "Outbox.claim"),
    at("after", "Email.deliver"),
    at("after", "Outbox.sent"),
]


@pytest.mark.parametrize("later", [SOON, LATER], ids=["soon", "late"])
@pytest.mark.parametrize("death", BEGIN_STEPS, ids=name_of)
def test_nobody_is_told_that_it_is_over_who_was_not_told_that_it_began(
    two: World, death: Death, later: timedelta
) -> None:
    """The data is right again before anybody comes back."""
    two.die(death)
    lost = two.unanswered()
    two.trouble.mend(two.project)
    two.go(later)
    two.go(MENDED)
    events = [mail["X-Sanityd-Event"] for mail in two.arrived()]
    began = death.name.startswith(("Outbox", "Email"))
    assert events == ([*["opened"] * (1 + len(lost)), "resolved"] if began else [])
    two.is_whole(0)
    two.count(two.copies("opened", "resolved"), lost)


@pytest.mark.parametrize(
    "death", [*deaths("sanityd.store.open", "_make"), *COMMITS[:4]], ids=name_of
)
def test_who_dies_while_the_store_is_made_leaves_one_that_can_be_used(
    two: World, death: Death
) -> None:
    shutil.rmtree(two.project.folder / ".sanityd")
    dying = two.begin(death, waits=True)
    assert dying.arrive()
    other = two.begin()
    other.is_over(MEANWHILE)
    two.kill(dying, death)
    other.end()
    two.revive()


def test_who_dies_before_the_greeting_loses_nothing(two: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        process = two.project.begin(smtp(listener.getsockname()[1]))
        connection, _ = listener.accept()
        with connection:
            assert process.kill().code == -signal.SIGKILL
    two.revive()


def test_who_dies_while_the_server_thinks_about_the_dot_mails_under_the_same_id(two: World) -> None:
    """That server may have taken it, the next one does."""
    with scripted(dot=HANG) as server:
        process = two.project.begin(smtp(server.port))
        wait_for_the_dot(server)
        assert process.kill().code == -signal.SIGKILL
    two.revive()
    [mail] = two.arrived()
    assert mail["Message-ID"].encode() in server.body


def wait_for_the_dot(server: Script) -> None:
    """Until the server has heard it; it follows the last boundary of the mail."""
    until = time.monotonic() + 30
    while not server.body.endswith(b"--\r\n"):
        assert time.monotonic() < until, server.verbs
        time.sleep(0.02)
