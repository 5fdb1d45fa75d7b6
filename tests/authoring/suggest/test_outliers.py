"""Order of times, outliers, times in the future: one wrong row among many is a violation."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

from sqlalchemy import column, insert, table

from tests.authoring.suggest.test_suggest import checked, mistakes, suggestions, written
from tests.support.services import owner

ROWS = 1_200
_LOANS = (
    "CREATE TABLE loans (id INTEGER PRIMARY KEY, lent_on DATE, returned_on DATE, due_on DATE,"
    " fetched_on DATE, back_on DATE, born_on DATE, copied_on DATE, level DECIMAL(9, 2),"
    " score INTEGER, price INTEGER, heavy DECIMAL(20, 2), balance INTEGER, depth INTEGER,"
    " grade INTEGER, paid_at TIMESTAMP NULL,"
    " scheduled_at TIMESTAMP NULL, starts_at TIMESTAMP NULL, earned_fee DECIMAL(20, 2))"
)
BROKEN = {
    "returned-on-of-loans-is-not-before-lent-on": (
        "1 of 1,200 loans breaks `returned_on >= lent_on`"
    ),
    "back-on-of-loans-is-not-before-fetched-on": "1 of 1,200 loans breaks `back_on >= fetched_on`",
    "no-level-of-loans-is-far-out": "1 of 1,200 loans has level above 60",
    "no-score-of-loans-is-far-out": "1 of 1,200 loans has score below 0",
    "no-price-of-loans-is-far-out": "2 of 1,200 loans have price above 200",
    "paid-at-of-loans-is-not-in-the-future": "1 of 1,200 loans has paid_at later than now + 1d",
}
#: Nothing is proposed for the other columns: they are signed, have a long tail, are not far enough
#: away, or may be in the future.
HOLD = {"due-on-of-loans-is-not-before-lent-on", "nothing-in-loans-is-negative"}


def build(url: str) -> None:
    engine, chance = owner(url), Random(7)
    first, now = date(2022, 3, 1), datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    rows = []
    for n in range(ROWS):
        lent, fetched = (first + timedelta(days=chance.randrange(1000)) for _ in range(2))
        born = date(1950, 1, 1) + timedelta(days=chance.randrange(9000))
        rows.append(
            {
                "id": n,
                "lent_on": lent,
                "returned_on": lent + timedelta(days=-2 if n == 500 else n % 30),
                "due_on": lent + timedelta(days=28),
                "fetched_on": fetched,
                "back_on": fetched + timedelta(days=-9 if n == 40 else n % 50),
                # Before all others, and the same as another: neither says anything of a row.
                "born_on": born,
                "copied_on": born,
                "level": 9999 if n == 600 else round(chance.gauss(20, 4), 2),
                "score": -1 if n == 700 else n % 40 + 1,
                # Two, of which one is among the rows that are looked at one by one.
                "price": 5_000 if n in (3, 800) else n % 90 + 5,
                "heavy": round(chance.paretovariate(1), 2),
                "balance": -1 if n == 900 else n % 50,
                "depth": -5 if n == 901 else n % 50,
                "grade": 30 if n == 650 else n % 9,
                "paid_at": datetime(2037, 1, 1)
                if n == 610
                else now - timedelta(days=900 - n % 800),
                "scheduled_at": datetime(2037, 1, 1)
                if n == 610
                else now - timedelta(days=900 - n % 700),
                "starts_at": datetime(2037, 1, 1)
                if n == 610
                else now - timedelta(days=900 - n % 600),
                # A long tail, of which one value is very far away.
                "earned_fee": 10**13 if n == 620 else round(1.5 ** (n * 37 % 60), 2),
            }
        )
    with engine.begin() as connection:
        connection.exec_driver_sql(_LOANS)
        loans = table("loans", *map(column, rows[0]))
        for first_row in range(0, ROWS, 100):
            # One statement for many rows: DuckDB is slow with one for each.
            connection.execute(insert(loans).values(rows[first_row : first_row + 100]))
    engine.dispose()


def test_one_wrong_row_among_many_is_a_violation_and_chance_is_not(
    database_url: str, tmp_path: Path
) -> None:
    build(database_url)
    result = suggestions(database_url)
    broken = {proposal.id: proposal.tried.sentence for proposal in result.broken}
    assert broken == BROKEN
    about = {p.id for p in result.proposals if p.tried.candidate.kind in ("always", "between")}
    assert about - BROKEN.keys() == HOLD
    rules = written(result, database_url, tmp_path)
    assert {
        name: run.rows for name, run in checked(rules, database_url).items() if name in BROKEN
    } == {proposal.id: proposal.tried.wrong for proposal in result.broken}
    assert mistakes(rules) == []
