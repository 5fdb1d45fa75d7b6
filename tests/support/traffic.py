"""Writers that never rest and never break an invariant: every transaction leaves the data right.

Each has ids of its own, so that two never wait for the same row but where they mean to (the
accounts).
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine, text

#: How many accounts there are, and what they hold together.
ACCOUNTS, TOTAL = 20, 2000
#: So few people and orders a writer always keeps: a table that is suddenly empty is an error, and
#: rightly so.
FEW = 10
#: Rows of writers have smaller ids; the tests' own have larger ones.
RESERVED = 9_000_000
#: The longest that data takes from one database to the other, in seconds.
LAG = 0.3

TABLES = (
    "CREATE TABLE people (id INTEGER PRIMARY KEY, email VARCHAR(60) NOT NULL, created_at {moment} NOT NULL)",
    "CREATE TABLE mails (person_id INTEGER PRIMARY KEY, address VARCHAR(60) NOT NULL)",
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, total INTEGER NOT NULL)",
    "CREATE TABLE items (id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL, amount INTEGER NOT NULL)",
    "CREATE TABLE invoices (id INTEGER PRIMARY KEY)",
    "CREATE TABLE documents (invoice_id INTEGER PRIMARY KEY)",
    "CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)",
)


@contextmanager
def engine_of(url: str) -> Iterator[Engine]:
    """An engine whose SQLite lets readers read while somebody writes."""
    engine = create_engine(
        url, connect_args={"timeout": 60} if url.startswith("sqlite") else {}, pool_size=8
    )
    if url.startswith("sqlite"):
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    create(engine)
    try:
        yield engine
    finally:
        engine.dispose()


def create(engine: Engine) -> None:
    """The tables, and money in the accounts."""
    moment = "TIMESTAMPTZ" if engine.dialect.name == "postgresql" else "TIMESTAMP"
    with engine.begin() as connection:
        for statement in TABLES:
            connection.execute(text(statement.replace("{moment}", moment)))
        for number in range(ACCOUNTS):
            run(
                connection,
                "INSERT INTO accounts VALUES (:id, :balance)",
                id=number,
                balance=TOTAL // ACCOUNTS,
            )


def run(connection: Connection, statement: str, **values: object) -> None:
    """One statement."""
    connection.execute(text(statement), values)


class Writer:
    """One thread's transactions. `elsewhere` is a second database, in which the mails of people
    are, with a lag."""

    def __init__(self, number: int, engine: Engine, elsewhere: Engine | None = None) -> None:
        self.engine, self.elsewhere = engine, elsewhere
        self.commits = 0
        self.error: Exception | None = None
        self._chance = random.Random(number)
        self._next = number * 1_000_000
        self._people: dict[int, str] = {}
        self._orders: list[int] = []

    def go_on(self, stop: threading.Event) -> None:
        """Until told to stop; what fails is kept for the test."""
        doings = self.doings()
        try:
            while not stop.is_set():
                self._chance.choice(doings)()
                time.sleep(0.002)
        except Exception as error:  # noqa: BLE001 (the test raises it)
            self.error = error

    def doings(self) -> list[Callable[[], None]]:
        """What it does, in random order."""
        if self.elsewhere is not None:
            return [self.sign_up, self.leave]
        return [self.sign_up, self.leave, self.swap, self.order, self.cancel, self.transfer]

    @contextmanager
    def _commit(self, engine: Engine) -> Iterator[Connection]:
        with engine.begin() as connection:
            yield connection
        self.commits += 1

    def _new_id(self) -> int:
        self._next += 1
        return self._next

    def sign_up(self) -> None:
        """A person, and the welcome mail."""
        person, email = self._new_id(), f"{self._next}@example.com"
        if len(self._people) > 100:
            return
        with self._commit(self.engine) as here:
            run(
                here,
                "INSERT INTO people VALUES (:id, :email, CURRENT_TIMESTAMP)",
                id=person,
                email=email,
            )
            if self.elsewhere is None:
                run(here, "INSERT INTO mails VALUES (:id, :email)", id=person, email=email)
        if self.elsewhere is not None:
            time.sleep(self._chance.uniform(0, LAG))
            with self._commit(self.elsewhere) as there:
                run(there, "INSERT INTO mails VALUES (:id, :email)", id=person, email=email)
        self._people[person] = email

    def leave(self) -> None:
        """A person goes, and so does the mail."""
        if len(self._people) <= FEW:
            return
        person = self._chance.choice(list(self._people))
        with self._commit(self.engine) as here:
            run(here, "DELETE FROM people WHERE id = :id", id=person)
            if self.elsewhere is None:
                run(here, "DELETE FROM mails WHERE person_id = :id", id=person)
        if self.elsewhere is not None:
            time.sleep(self._chance.uniform(0, LAG))
            with self._commit(self.elsewhere) as there:
                run(there, "DELETE FROM mails WHERE person_id = :id", id=person)
        del self._people[person]

    def swap(self) -> None:
        """Two people exchange their addresses: for a moment, inside the transaction, both have the
        same."""
        if len(self._people) < 2:
            return
        one, other = sorted(self._chance.sample(list(self._people), 2))
        first, second = self._people[one], self._people[other]
        with self._commit(self.engine) as here:
            for person, email in ((one, second), (other, first)):
                run(here, "UPDATE people SET email = :email WHERE id = :id", id=person, email=email)
                run(
                    here,
                    "UPDATE mails SET address = :email WHERE person_id = :id",
                    id=person,
                    email=email,
                )
        self._people |= {one: second, other: first}

    def order(self) -> None:
        """An order, and its lines, which add up."""
        if len(self._orders) > 50:
            return
        number, amounts = (
            self._new_id(),
            [self._chance.randint(1, 9) for _ in range(self._chance.randint(1, 5))],
        )
        with self._commit(self.engine) as here:
            run(here, "INSERT INTO orders VALUES (:id, 0)", id=number)
            for place, amount in enumerate(amounts):
                line = number * 10 + place
                run(
                    here,
                    "INSERT INTO items VALUES (:id, :order, :amount)",
                    id=line,
                    order=number,
                    amount=amount,
                )
            run(
                here,
                "UPDATE orders SET total = :total WHERE id = :id",
                id=number,
                total=sum(amounts),
            )
        self._orders.append(number)

    def cancel(self) -> None:
        """An order goes, with its lines."""
        if len(self._orders) <= FEW:
            return
        number = self._orders.pop(self._chance.randrange(len(self._orders)))
        with self._commit(self.engine) as here:
            run(here, "DELETE FROM orders WHERE id = :id", id=number)
            run(
                here,
                "DELETE FROM items WHERE id BETWEEN :low AND :high",
                low=number * 10,
                high=number * 10 + 9,
            )

    def transfer(self) -> None:
        """Money moves, and stays as much as it is. The smaller account is locked first, so that
        nobody waits in a ring."""
        one, other = sorted(self._chance.sample(range(ACCOUNTS), 2))
        amount = self._chance.randint(-9, 9)
        with self._commit(self.engine) as here:
            run(
                here,
                "UPDATE accounts SET balance = balance + :amount WHERE id = :id",
                id=one,
                amount=amount,
            )
            run(
                here,
                "UPDATE accounts SET balance = balance - :amount WHERE id = :id",
                id=other,
                amount=amount,
            )


class Biller(Writer):
    """Writes the document into the second database, and then at once its invoice into the first."""

    def doings(self) -> list[Callable[[], None]]:
        """One thing only, as often as it can."""
        return [self.bill]

    def bill(self) -> None:
        """At no moment there is an invoice without its document."""
        assert self.elsewhere is not None
        number = self._new_id()
        with self._commit(self.elsewhere) as there:
            run(there, "INSERT INTO documents VALUES (:id)", id=number)
        with self._commit(self.engine) as here:
            run(here, "INSERT INTO invoices VALUES (:id)", id=number)


@contextmanager
def traffic(*writers: Writer) -> Iterator[Callable[[], int]]:
    """Writers at work; gives how many transactions they have committed. Raises what stopped one of
    them."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=writer.go_on, args=(stop,), daemon=True) for writer in writers
    ]
    for thread in threads:
        thread.start()
    try:
        yield lambda: sum(writer.commits for writer in writers)
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=60)
    for writer in writers:
        if writer.error is not None:
            raise writer.error
