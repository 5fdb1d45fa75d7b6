"""Five scenes of the sign-up: `scripts/demo --signup`.

The application, the mailer, the gateway and a proxy between them run in this process, and so does
`sanityd check`, on a clock on which nobody waits.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from email.message import EmailMessage
from io import TextIOWrapper
from pathlib import Path
from tempfile import mkdtemp

from sqlalchemy import func, update

from examples.signup import tables
from examples.signup.app import App, QueueTimeoutError
from examples.signup.gateway import Gateway
from examples.signup.mailer import Mailer
from examples.signup.proxy import CUT_AFTER, PASS, Proxy
from examples.signup.rounds import ALERTS, FakeClock
from examples.signup.tables import people
from examples.signup.troubles import Trouble
from examples.signup.web import Service
from examples.signup.worker import Worker
from sanityd import clock
from sanityd.authoring.demo.catcher import Catcher
from sanityd.cli import root

AGO = timedelta(minutes=20)
#: The people who are there when the demo begins.
FOUNDERS = 40


class Demo:
    """The application and what watches it, in a folder."""

    def __init__(
        self, folder: Path, gateway: Gateway, mailer: Proxy, team: Catcher, time: FakeClock
    ) -> None:
        self.folder = folder
        self.app = App(tables.connect(f"sqlite:///{folder}/app.db", tables.app))
        self.gateway = gateway
        self.mailer = mailer
        self.team = team
        self.time = time

    def sign_up(self, *names: str) -> None:
        """People sign up, 20 minutes ago, so that they are judged."""
        for name in names:
            email = f"{name}@example.com"
            with suppress(QueueTimeoutError):
                self.app.sign_up(name.title(), email, name, tables.now() - AGO)

    def import_people(self, batch: str, *rows: tuple[str, str, str]) -> None:
        """People of another system: id, name, address."""
        self.app.import_people(rows, batch, tables.now() - AGO)

    def worker(self, *troubles: Trouble) -> Worker:
        """A worker that doesn't wait for long before it tries again."""
        wait = timedelta(milliseconds=10)
        return Worker(self.app.engine, self.mailer.url, troubles, wait=wait)

    def work(self, *troubles: Trouble) -> None:
        """Until the queue is empty."""
        self.worker(*troubles).work_until_empty(30)

    def sanityd(self, *words: str) -> None:
        """Run a command of sanityd, and show the mails that it sends."""
        print("\n$ sanityd " + " ".join(f'"{word}"' if " " in word else word for word in words))
        mails_before = len(self.team.mails)
        root.main([*words], prog_name="sanityd", standalone_mode=False)
        # Two mails of one pass may come in any order.
        for mail in sorted(self.team.mails[mails_before:], key=lambda mail: str(mail["Subject"])):
            print(f"\n  ✉ to {mail['To']}: {mail['Subject']}")
            print(f"    {_first_paragraph(mail)}")
        self.time.moved += 300


def lose_in_queue(demo: Demo) -> None:
    """The person is written, then the queue times out."""
    demo.app.troubles = frozenset({Trouble.QUEUE_TIMEOUT})
    demo.sign_up("ada", "bert")
    demo.work()
    demo.sanityd("check")
    print("\nThe remedy has queued the mails, and the worker sends them. Five minutes later:")
    demo.work()
    demo.sanityd("check")


def come_too_early(demo: Demo) -> None:
    """The job is visible before the person is."""
    demo.app.troubles = frozenset({Trouble.EVENT_BEFORE_COMMIT})
    demo.app.before_commit = demo.work
    demo.sign_up("cleo")
    demo.sanityd("check")
    print("\nThe remedy asks for it again, the worker finds the person now. Five minutes later:")
    demo.work()
    demo.sanityd("check")


def retry_without_id(demo: Demo) -> None:
    """The first answer is lost, twice: once the retry has a new id, once its own."""
    for name, troubles in (("dora", [Trouble.RETRY_WITHOUT_ID]), ("emil", [])):
        demo.sign_up(name)
        demo.mailer.draw = _first(CUT_AFTER)
        demo.work(*troubles)
        print(f"{name.title()} got {demo.gateway.counts()[name]} from {_id_word(troubles)}.")
    demo.sanityd("check")
    print("\nA mail can't be taken back. What is settled is accepted, and mailed no more.")
    decision = ["--row", "id=dora", "--for", "90d", "--reason", "we have apologised"]
    demo.sanityd("accept", "nobody-gets-two-welcome-mails", *decision)


def replay_half_done(demo: Demo) -> None:
    """A batch is started again; its jobs have their ids."""
    rows = [(f"shop-{n}", f"Person {n}", f"shop-{n}@example.com") for n in range(1, 7)]
    demo.import_people("shop", *rows)
    worker = demo.worker()
    for _ in range(3):
        worker.work()
    demo.app.replay("shop")
    demo.work()
    counts = demo.gateway.counts()
    mails = sum(counts[person] for person, _, _ in rows)
    print(f"{len(rows)} people got {mails} mails.")
    demo.sanityd("check")


def import_past_validations(demo: Demo) -> None:
    """Rows are copied into the table as they are."""
    demo.app.troubles = frozenset({Trouble.IMPORT_PAST_VALIDATIONS})
    rows = (("m-1", "Ada", "Ada@example.com "), ("m-2", "Fritz", "fritz@example.com"))
    demo.import_people("merger", *rows)
    demo.sanityd("check")
    print("\nThe team merges the accounts and corrects the status; the remedy sends the mails.")
    unclean = people.c.email != func.lower(func.trim(people.c.email))
    with demo.app.engine.begin() as connection:
        closed = {"status": "closed", "email": "closed-" + people.c.id}
        connection.execute(update(people).where(unclean).values(closed))
        imported = people.c.status == "imported"
        connection.execute(update(people).where(imported).values(status="new"))
    demo.work()
    demo.sanityd("check")


SCENES: list[tuple[str, str, Callable[[Demo], None]]] = [
    (
        "The queue times out",
        "The sign-up writes the person, then the job, and the queue times out. The person exists,\n"
        "the mail was never sent, and the address can't sign up again.",
        lose_in_queue,
    ),
    (
        "The worker is faster than the commit",
        "The job is in the queue before the person is committed. The worker finds no such person\n"
        "and drops the job.",
        come_too_early,
    ),
    (
        "An answer is lost",
        "The mailer has sent the mail, and its answer is lost. The worker tries again: first with\n"
        "a new request id, then, for another person, with the id that it had.",
        retry_without_id,
    ),
    (
        "A batch dies half-way",
        "The worker dies in the middle of a batch, and the batch is started again from its first\n"
        "job. Each job has its own request id.",
        replay_half_done,
    ),
    (
        "A bought competitor's users are imported",
        "The rows go past the application's validations, and nobody queues a mail.",
        import_past_validations,
    ),
]


def play(folder: Path) -> None:
    """Play all scenes in an empty folder."""
    with _everything(folder) as demo:
        rows = [(f"p-{n}", f"P {n}", f"p-{n}@example.com") for n in range(FOUNDERS)]
        demo.import_people("founders", *rows)
        demo.work()
        print(f"{FOUNDERS} people have signed up, and each was sent a welcome mail.")
        for number, (heading, happens, scene) in enumerate(SCENES, 1):
            demo.app.troubles = frozenset()
            demo.mailer.draw = lambda: PASS
            print(f"\n{number}. {heading}\n\n{happens}")
            scene(demo)
        counts = demo.gateway.counts()
        twice = sum(count > 1 for count in counts.values())
        print(f"\n{len(counts)} people have their welcome mail, and {twice} of them has two.")
        print(f"The databases, the rules and the mails are in {folder}.")


@contextmanager
def _everything(folder: Path) -> Iterator[Demo]:
    """Start all services, and stop them at the end."""
    rules = Path(__file__).with_name("rules.yaml").read_text(encoding="utf-8")
    (folder / "mails").mkdir()
    # As in the rounds: what happens in an hour of a demo would take months.
    (folder / "rules.yaml").write_text(rules + ALERTS, encoding="utf-8")
    gateway, time = Gateway(), FakeClock(timedelta(0))
    engine = tables.connect(f"sqlite:///{folder}/mailer.db", tables.mailer)
    with (
        Catcher(folder / "mails") as team,
        Service(gateway) as served_gateway,
        Service(Mailer(engine, served_gateway.url)) as mailer,
        Proxy(mailer.server_address[1], lambda: PASS) as proxy,
    ):
        demo = Demo(folder, gateway, proxy, team, time)
        with Service(demo.app) as app:
            os.environ.update({"SMTP_URL": team.url, "APP_URL": app.url, "SANITYD_AUTHOR": "ann"})
            os.chdir(folder)
            clock.now, clock.stopwatch, clock.pause = time.now, time.stopwatch, time.pause
            yield demo
        demo.app.engine.dispose()
    engine.dispose()


def _first(fate: str) -> Callable[[], str]:
    fates = [fate]
    return lambda: fates.pop() if fates else PASS


def _id_word(troubles: list[Trouble]) -> str:
    return "a retry with a new id" if troubles else "a retry with its own id"


def _first_paragraph(mail: EmailMessage) -> str:
    body = mail.get_body(preferencelist=("plain",))
    content = body.get_content() if body is not None else ""
    lines = [line.strip() for line in content.splitlines()]
    return " ".join(lines[: lines.index("")]) if "" in lines else " ".join(lines)


if __name__ == "__main__":
    if isinstance(sys.stdout, TextIOWrapper):
        # So that what is printed on stderr comes in its place.
        sys.stdout.reconfigure(line_buffering=True)
    play(Path(mkdtemp(prefix="sanityd-signup-")))
