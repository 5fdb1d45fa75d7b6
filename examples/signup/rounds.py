"""Many rounds in which something goes wrong, everything may die, and answers are lost.

`python -m examples.signup.rounds [--help]` plays 500 and prints a table. In each round
people sign up while one trouble is on; worker, mailer and sanityd are killed with SIGKILL at random
moments; proxies delay requests and cut connections before and after the answer. sanityd finds what
is missing, mails the team, and asks the application to send again. At the end every person must
have exactly one welcome mail, and every violation must have been mailed once and be resolved.
"""

import argparse
import multiprocessing
import os
import random
import socket
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from threading import Event
from typing import Any

from sqlalchemy import delete, func, select, update

from examples.signup import tables
from examples.signup.app import AddressTakenError, App, QueueTimeoutError
from examples.signup.gateway import Gateway
from examples.signup.mailer import Mailer
from examples.signup.proxy import CUT_AFTER, CUT_BEFORE, DELAY, PASS, Proxy
from examples.signup.tables import jobs, mails, people
from examples.signup.troubles import Trouble
from examples.signup.web import Service
from examples.signup.worker import Worker

CONTEXT = multiprocessing.get_context("forkserver")
#: What a worker, a mailer and a connection wait for; short, as waiting is most of a round.
WAIT, LEASE, TIMEOUT = timedelta(milliseconds=50), timedelta(seconds=3), 2.0
#: The people of a round signed up that long ago, so that they are judged.
AGO = timedelta(minutes=20)
#: How far sanityd's clock goes on after each of its passes, and after each round.
STEP, REST = timedelta(minutes=5), timedelta(hours=2)
#: A round must be over after so many passes of sanityd.
PASSES = 25
#: The share of processes that are killed, and what happens to connections.
KILLED = 0.4
FATES = {PASS: 60, DELAY: 15, CUT_BEFORE: 12, CUT_AFTER: 13}

#: Rounds follow each other in hours of sanityd's clock: as flapping, they would not be mailed.
ALERTS = """
# Added for the rounds.
alerts:
  digest: {at: null}
  noise: {auto: off}
  flapping: {start: 100, end: 100, window: 200}
  limits: {mails_per_hour: 1000}
"""


def run_mailer(folder: Path, gateway: str, port: int) -> None:
    """Serve the mailer until it is killed."""
    engine = tables.connect(f"sqlite:///{folder}/mailer.db", tables.mailer)
    Service(Mailer(engine, gateway, LEASE, TIMEOUT), port).serve_forever()


def run_worker(folder: Path, mailer: str) -> None:
    """Work until the queue is empty."""
    engine = tables.connect(f"sqlite:///{folder}/app.db", tables.app)
    Worker(engine, mailer, (), LEASE, WAIT, 2 * TIMEOUT).work_until_empty(20)


class FakeClock:
    """A clock that is ahead of ours, and on which nobody waits: a pause only moves it."""

    def __init__(self, ahead: timedelta) -> None:
        self.ahead = ahead.total_seconds()
        self.moved = 0.0

    def now(self) -> datetime:
        """Return the time, aware, in UTC."""
        return datetime.now(UTC) + timedelta(seconds=self.ahead + self.moved)

    def stopwatch(self) -> float:
        """Return seconds that pass with the clock."""
        return time.monotonic() + self.moved

    def pause(self, seconds: float, until: Event | None = None) -> None:
        """Move on, unless the event is set."""
        if until is None or not until.wait(0.001):
            self.moved += seconds


def run_sanityd(folder: Path, environment: dict[str, str], ahead: timedelta) -> None:
    """Run `sanityd check`, whose clock is ahead of ours."""
    from sanityd import clock
    from sanityd.cli import main as run_command

    os.chdir(folder)
    os.environ.update(environment)
    output = os.open("sanityd.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    fake = FakeClock(ahead)
    clock.now, clock.stopwatch, clock.pause = fake.now, fake.stopwatch, fake.pause
    sys.argv = ["sanityd", "check"]
    run_command()


@dataclass(frozen=True)
class Line:
    """One line of the table: what was counted, and what it must be (None: anything)."""

    name: str
    count: int
    expected: int | None = None

    @property
    def is_right(self) -> bool:
        """Whether it is what it must be."""
        return self.expected is None or self.count == self.expected

    def __str__(self) -> str:
        mark = "" if self.expected is None else "  ✓" if self.is_right else "  ✗"
        return f"{self.name:<58}{self.count:>8,}{mark}"


class Rounds:
    """Plays rounds in a folder, drawn by a seed. Begin with `with`."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.gateway = Gateway()
        self.app = App(tables.connect(f"sqlite:///{folder}/app.db", tables.app))
        self.mail = tables.connect(f"sqlite:///{folder}/mailer.db", tables.mailer)
        self.counts: Counter[str] = Counter()
        self.ahead = timedelta(0)
        self.mailer: ForkServerProcess | None = None
        #: How long a pass of sanityd takes, so that a kill comes within.
        self.pass_seconds = 1.0
        self._stack = ExitStack()

    def __enter__(self) -> "Rounds":
        """Start everything that is not killed, and the first mailer."""
        from sanityd.authoring.demo.catcher import Catcher

        rules = Path(__file__).with_name("rules.yaml").read_text(encoding="utf-8")
        (self.folder / "rules.yaml").write_text(rules + ALERTS, encoding="utf-8")
        (self.folder / "mails").mkdir()
        enter = self._stack.enter_context
        gateway = enter(Service(self.gateway))
        app = enter(Service(self.app))
        self.to_gateway = enter(Proxy(gateway.server_address[1], self._fate))
        self.to_mailer = enter(Proxy(_free_port(), self._fate))
        self.to_app = enter(Proxy(app.server_address[1], self._fate))
        self.team = enter(Catcher(self.folder / "mails"))
        self._start_mailer()
        self._found()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything."""
        if self.mailer is not None:
            self.mailer.kill()
            self.mailer.join()
        self._stack.close()
        self.app.engine.dispose()
        self.mail.dispose()

    def _found(self) -> None:
        """Let people sign up to whom nothing happens: the others are few among them."""
        at = tables.now() - AGO
        rows = [(f"founder-{n}", "Founder", f"founder-{n}@example.com") for n in range(40)]
        self.app.import_people(rows, "founders", at)
        run_worker(self.folder, f"http://127.0.0.1:{self.to_mailer.port}")

    def play(self, number: int) -> None:
        """Play one round: something happens, and everybody repairs until all is well."""
        self.counts["rounds"] += 1
        self._happen(f"r{number}")
        self._work()
        self._check()
        self._repair_by_hand()
        for _ in range(PASSES):
            self._work()
            self.ahead += STEP
            self._check()
            if self._is_over():
                break
        else:
            self.counts["unfinished rounds"] += 1
        self.ahead += REST

    def table(self) -> list[Line]:
        """Return what happened, and what must be true now."""
        per_person = self.gateway.counts()
        with self.app.engine.connect() as connection:
            persons = set(connection.execute(select(people.c.id)).scalars())
        with self.mail.connect() as connection:
            recorded = connection.execute(select(func.count()).select_from(mails)).scalar_one()
        proxied = self.to_gateway.counts + self.to_mailer.counts + self.to_app.counts
        incidents, opened, resolved = self._notifications()
        found, mailed = self._violations()
        identities = [mail["Message-ID"] for mail in self.team.mails]
        names = ("kills of sanityd", "kills of the mailer", "kills of the worker")
        return [
            Line("rounds", self.counts["rounds"]),
            *(Line(f"  with {trouble}", self.counts[trouble]) for trouble in SCENES),
            *(Line(name, self.counts[name]) for name in names),
            *(Line(f"connections: {fate}", proxied[fate]) for fate in FATES),
            Line("messages that the gateway got again, under the same id", self.gateway.repeated),
            Line("people", len(persons)),
            Line("people with exactly one welcome mail", _with_one(per_person), len(persons)),
            Line("mails to somebody who is no person", len(set(per_person) - persons), 0),
            Line("mails that the mailer recorded", recorded, len(persons)),
            *self._remedies(),
            Line("violations found", found),
            Line("violations in exactly one mail", mailed, found),
            Line("violations that are still open", self._still_open(), 0),
            Line("incidents", incidents),
            Line("incidents mailed once when they opened", opened, incidents),
            Line("incidents mailed once when they were resolved", resolved, incidents),
            Line("mails to the team", len(set(identities))),
            Line(
                "mails that came twice, with the same Message-ID",
                len(identities) - len(set(identities)),
            ),
            Line("rounds that did not end", self.counts["unfinished rounds"], 0),
        ]

    def _fate(self) -> str:
        return self.random.choices(list(FATES), list(FATES.values()))[0]

    def _is_drawn(self) -> bool:
        return self.random.random() < KILLED

    def _happen(self, prefix: str) -> None:
        """One trouble is on while people sign up; some sign up without."""
        scene = self.random.choice(list(SCENES))
        self.counts[scene] += 1
        SCENES[scene](self, prefix)
        self.app.troubles = frozenset()
        at = tables.now() - AGO
        for number in range(self.random.randint(0, 2)):
            person = f"{prefix}-well-{number}"
            self.app.sign_up("Well", f"{person}@example.com", person, at)
        # Who has just signed up is in nobody's list, whatever happens to the job meanwhile.
        self.app.sign_up("New", f"{prefix}-new@example.com", f"{prefix}-new")

    def _start_mailer(self) -> None:
        # A port that was free may be taken when a mailer comes back.
        self.to_mailer.port = _free_port()
        arguments = (self.folder, self.to_gateway.url, self.to_mailer.port)
        self.mailer = CONTEXT.Process(target=run_mailer, args=arguments)
        self.mailer.start()

    def _work(self) -> None:
        """Let workers work until the queue is empty. Worker and mailer may die on the way."""
        worker_dies, mailer_dies = self._is_drawn(), self._is_drawn()
        while not self._is_idle():
            if self.mailer is not None and not self.mailer.is_alive():
                self._start_mailer()
            worker = CONTEXT.Process(target=run_worker, args=(self.folder, self.to_mailer.url))
            worker.start()
            if mailer_dies:
                worker.join(self.random.uniform(0, 0.4))
                self._kill_mailer()
            if worker_dies:
                worker.join(self.random.uniform(0, 0.6))
                self._kill(worker, "kills of the worker")
            worker.join()
            worker.close()
            worker_dies = mailer_dies = False

    def _is_idle(self) -> bool:
        return Worker(self.app.engine, "").is_idle()

    def _kill_mailer(self) -> None:
        assert self.mailer is not None
        self._kill(self.mailer, "kills of the mailer")
        self.mailer.join()
        self._start_mailer()

    def _kill(self, process: ForkServerProcess, name: str) -> None:
        if process.is_alive():
            process.kill()
            self.counts[name] += 1

    def _check(self) -> None:
        """Run passes of sanityd until one is not killed."""
        environment = {"SMTP_URL": self.team.url, "APP_URL": self.to_app.url}
        while True:
            dies = self._is_drawn()
            started = time.monotonic()
            arguments = (self.folder, environment, self.ahead)
            process = CONTEXT.Process(target=run_sanityd, args=arguments)
            process.start()
            if dies:
                process.join(self.random.uniform(0, 1.2 * self.pass_seconds))
                self._kill(process, "kills of sanityd")
            process.join()
            code = process.exitcode
            process.close()
            if code is not None and code >= 0:
                self.counts[f"passes with exit code {code}"] += 1
                took = time.monotonic() - started
                self.pass_seconds = 0.8 * self.pass_seconds + 0.2 * took
                return
            self.ahead += STEP
            # What it asked for is done before the next pass; else the remedy did not help.
            self._work()

    def _repair_by_hand(self) -> None:
        """Do what no request can: merge accounts, correct a status, delete a job of nobody."""
        imported = people.c.status == "imported"
        unclean = people.c.email != func.lower(func.trim(people.c.email))
        closed = {"status": "closed", "email": "closed-" + people.c.id}
        orphans = jobs.c.person_id.not_in(select(people.c.id))
        with self.app.engine.begin() as connection:
            connection.execute(update(people).where(imported, unclean).values(closed))
            connection.execute(update(people).where(imported).values(status="new"))
            connection.execute(delete(jobs).where(orphans))

    def _is_over(self) -> bool:
        waiting = "state IN ('pending', 'leased', 'uncertain')"
        return self._still_open() == 0 and self._ask(
            f"SELECT count(*) FROM outbox WHERE {waiting}"
        ) == [(0,)]

    def _still_open(self) -> int:
        [(count,)] = self._ask("SELECT count(*) FROM violations WHERE open")
        return int(count)

    def _violations(self) -> tuple[int, int]:
        """Return how many violations there were, and how many the mails about new ones list."""
        [(found,)] = self._ask("SELECT coalesce(sum(episodes), 0) FROM violations")
        [(mailed,)] = self._ask(
            "SELECT coalesce(sum(violations), 0) FROM news JOIN outbox ON message = seq "
            "WHERE outbox.state = 'sent' AND news.reason = 'opened'"
        )
        return int(found), int(mailed)

    def _notifications(self) -> tuple[int, int, int]:
        """Return the number of incidents, and of those with exactly one mail of each end."""
        [(incidents,)] = self._ask("SELECT count(*) FROM incidents")
        once = []
        for reason in ("opened", "resolved"):
            rows = self._ask(
                "SELECT incident FROM news JOIN outbox ON message = seq WHERE outbox.state = "
                f"'sent' AND news.reason = '{reason}' "
                "GROUP BY incident HAVING count(DISTINCT message_id) = 1"
            )
            once.append(len(rows))
        return int(incidents), once[0], once[1]

    def _remedies(self) -> list[Line]:
        rows = self._ask("SELECT state, count(*), sum(attempts) FROM remedies GROUP BY state")
        lines = [Line(f"requests to repair: {state}", count) for state, count, _ in rows]
        attempts = sum(attempts for _, _, attempts in rows)
        stopped = self._ask("SELECT count(*) FROM remedy_status WHERE stopped_at IS NOT NULL")
        return [
            *lines,
            Line("attempts to send them", attempts),
            Line("remedies that stopped by themselves", stopped[0][0], 0),
        ]

    def _ask(self, query: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.folder / ".sanityd" / "state.db", timeout=10)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def lose_in_queue(self, prefix: str) -> None:
        """The person is there, and the queue times out."""
        self.app.troubles = frozenset({Trouble.QUEUE_TIMEOUT})
        for number in range(self.random.randint(1, 3)):
            person = f"{prefix}-{number}"
            with suppress(QueueTimeoutError):
                self.app.sign_up("Ada", f"{person}@example.com", person, tables.now() - AGO)

    def come_too_early(self, prefix: str) -> None:
        """The worker is faster than the commit."""
        self.app.troubles = frozenset({Trouble.EVENT_BEFORE_COMMIT})
        self.app.before_commit = self._work
        self.app.sign_up("Bert", f"{prefix}@example.com", prefix, tables.now() - AGO)
        self.app.before_commit = lambda: None

    def come_for_nobody(self, prefix: str) -> None:
        """The event is out, and the commit fails, as the address is taken."""
        at = tables.now() - AGO
        self.app.sign_up("Bert", f"{prefix}@example.com", prefix, at)
        self.app.troubles = frozenset({Trouble.EVENT_BEFORE_COMMIT})
        with suppress(AddressTakenError):
            self.app.sign_up("Bert", f"{prefix}@example.com", f"{prefix}-again", at)

    def replay_half_done(self, prefix: str) -> None:
        """A worker dies somewhere in a batch, which is then started again from its first job."""
        rows = [(f"{prefix}-{n}", "Cleo", f"{prefix}-{n}@example.com") for n in range(4)]
        self.app.import_people(rows, prefix, tables.now() - AGO)
        worker = CONTEXT.Process(target=run_worker, args=(self.folder, self.to_mailer.url))
        worker.start()
        worker.join(self.random.uniform(0, 0.6))
        self._kill(worker, "kills of the worker")
        worker.join()
        worker.close()
        self.app.replay(prefix)

    def import_rows(self, prefix: str) -> None:
        """A table is copied in: an address twice, a status that nobody knows, and no jobs."""
        at = tables.now() - AGO
        self.app.sign_up("Dora", f"{prefix}@example.com", prefix, at)
        self.app.troubles = frozenset({Trouble.IMPORT_PAST_VALIDATIONS})
        rows = [
            (f"{prefix}-twice", "Dora", f"{prefix.upper()}@example.com "),
            (f"{prefix}-else", "Emil", f"{prefix}-else@example.com"),
        ]
        self.app.import_people(rows, prefix, at)


SCENES: dict[str, Callable[[Rounds, str], None]] = {
    "a queue time-out": Rounds.lose_in_queue,
    "a worker faster than the commit": Rounds.come_too_early,
    "an event whose commit fails": Rounds.come_for_nobody,
    "a batch replayed half-way": Rounds.replay_half_done,
    "an import past validations": Rounds.import_rows,
}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _with_one(per_person: Counter[str]) -> int:
    return sum(count == 1 for count in per_person.values())


def main() -> None:
    """Play rounds and print the table. Exits with 1 when something is not as it must be."""
    parser = argparse.ArgumentParser(description="Play rounds of kills and lost answers.")
    parser.add_argument("rounds", nargs="?", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no round after them")
    words = parser.parse_args()
    # A process is forked from one that has imported everything: that takes longer than a pass.
    CONTEXT.set_forkserver_preload(["examples.signup.preload"])
    folder = words.folder or Path(tempfile.mkdtemp(prefix="signup-"))
    folder.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + 60 * words.minutes
    with Rounds(folder, words.seed) as rounds:
        for number in range(1, words.rounds + 1):
            if time.monotonic() > until:
                break
            rounds.play(number)
            if number % 25 == 0:
                print(f"{number} rounds …", file=sys.stderr)
        table = rounds.table()
    print(*table, sep="\n")
    sys.exit(not all(line.is_right for line in table))


if __name__ == "__main__":
    main()
