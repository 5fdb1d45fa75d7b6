"""What thousands of open rules cost: statements and bytes are counted, as seconds tell little."""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import event, update

from sanityd import clock
from sanityd.notifications.notify import notify
from sanityd.notifications.open_incidents import list_open_incidents
from sanityd.store import notification_log, tables
from tests.support.scene import ADULTS, Scene
from tests.support.smtp_server import Mailbox

MANY = 30
#: The text of a message about thousands of incidents.
LONG = "x" * 1_000_000


@contextmanager
def statements(scene: Scene) -> Iterator[list[str]]:
    """The SQL that the store executes meanwhile."""
    executed: list[str] = []

    def note(_connection: object, _cursor: object, sql: str, *_: object) -> None:
        executed.append(sql)

    event.listen(scene.store.engine, "before_cursor_execute", note)
    yield executed
    event.remove(scene.store.engine, "before_cursor_execute", note)


def opened(scene: Scene, count: int) -> None:
    """So many rules are open, and their team was notified of it by one mail."""
    scene.rules = {f"adults-{n}": ADULTS for n in range(count)}
    scene.children(1, 2)
    scene.look()
    scene.mail()
    # Each new decision is written once, and that is not what is counted here.
    decide_again(scene)


def read_open(scene: Scene) -> None:
    """As `status` reads what is open."""
    with scene.store.read() as connection:
        assert list_open_incidents(connection, scene.load(), clock.now())


def decide_again(scene: Scene) -> None:
    """As every pass decides about what is open."""
    with scene.store.write() as connection:
        results = notify(connection, scene.load(), clock.now())
    assert not any(result.queued for result in results)


@pytest.mark.parametrize("work", [read_open, decide_again])
def test_what_is_open_is_read_in_the_same_statements_however_much_it_is(
    scene: Scene, box: Mailbox, work: Callable[[Scene], None]
) -> None:
    opened(scene, 2)
    with statements(scene) as few:
        work(scene)
    opened(scene, MANY)
    with statements(scene) as many:
        work(scene)
    assert many == few
    assert len(few) <= 22


def fixed(scene: Scene) -> None:
    """All rows of all rules are repaired."""
    scene.children()
    scene.look()


def broken_again(scene: Scene) -> None:
    """Other rows violate each rule; nobody is notified, as a mail with the first ones waits."""
    scene.children(3, 4)
    scene.look()


@pytest.mark.parametrize("work", [fixed, broken_again, Scene.look])
def test_runs_are_recorded_in_the_same_statements_however_many_there_are(
    scene: Scene, box: Mailbox, work: Callable[[Scene], object]
) -> None:
    counts = []
    for rules in (2, MANY):
        scene.rules = {f"adults-{rules}-{n}": ADULTS for n in range(rules)}
        scene.children(1, 2)
        scene.look()
        with statements(scene) as executed:
            work(scene)
        counts.append(len([sql for sql in executed if "INTO outbox" not in sql]))
    assert counts[0] == counts[1]


def test_the_text_of_a_message_is_not_read_for_each_incident_in_it(
    scene: Scene, box: Mailbox
) -> None:
    opened(scene, MANY)
    with scene.store.write() as connection:
        connection.execute(update(tables.outbox).values(text=LONG, html=LONG, data={"n": LONG}))
    rules = scene.load()
    with scene.store.read() as connection:
        tracemalloc.start()
        list_open_incidents(connection, rules, clock.now())
        notification_log.of_rule(connection, "adults-0", clock.now() - timedelta(days=1))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < len(LONG)


def test_a_message_reads_the_rows_of_the_rules_that_it_lists(scene: Scene, box: Mailbox) -> None:
    with statements(scene) as executed:
        opened(scene, MANY)
    listings = [sql for sql in executed if "violations.shown" in sql and "violations.open\n" in sql]
    assert len(listings) < MANY


def test_thousands_of_resolutions_cancel_a_message_that_waits_in_one_statement(
    scene: Scene, box: Mailbox
) -> None:
    scene.rules = {f"adults-{n}": ADULTS for n in range(MANY)}
    scene.children(1, 2)
    scene.look()
    scene.children()
    with statements(scene) as executed:
        scene.look()
    cancelled = [sql for sql in executed if sql.startswith("UPDATE outbox")]
    assert len(cancelled) == 1
    assert scene.mail().sent == 0
    assert box.mails == []
