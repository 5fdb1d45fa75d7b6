"""The shop that the benchmark looks at, on PostgreSQL: N people, 1.2 N mails, 2 N orders; the same
rows each time.

It has the indexes of a real shop, and no constraint but primary keys, so that no rule is proved by
one.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click
from sqlalchemy import Connection, text

from tests.bench.forty import Promise
from tests.bench.server import Database

#: A prime, so that rows that are spread evenly don't all belong to one tenant.
TENANTS = 499
_DDL = """
CREATE TABLE countries (code text PRIMARY KEY, name text);
CREATE TABLE people (
  id bigint PRIMARY KEY, number int, account bigint, tenant_id int, login text, email text, name text, country text,
  status text, locale text, age int, phone text, balance numeric(12, 2), referrer_id bigint, note text,
  created_at timestamptz, updated_at timestamptz);
CREATE TABLE mails (
  id bigint PRIMARY KEY, person_id bigint, message_id text, template text, status text, subject text, attempts int,
  created_at timestamptz, sent_at timestamptz);
CREATE TABLE orders (
  id bigint PRIMARY KEY, person_id bigint, tenant_id int, number text, status text, currency text, quantity int,
  amount numeric(12, 2), tax numeric(12, 2), total numeric(12, 2), discount int, shipping numeric(8, 2),
  created_at timestamptz, paid_at timestamptz, synced_at timestamptz);
"""
_INDEXES = """
CREATE INDEX ON people (created_at);
CREATE INDEX ON mails (person_id);
CREATE INDEX ON orders (person_id);
"""
#: {id} is a row's key, {pid} that of the person it belongs to, {age} how long ago it was made,
#: {stale} how long nothing was synced.
_PEOPLE = """SELECT {id}, n, {id} + 10000000, n % {tenants} + 1, 'login' || n / {tenants},
  'user' || n || '@example-' || n % 50 || '.com',
  (array['Ada', 'Grace', 'Edsger', 'Barbara', 'Donald'])[n % 5 + 1] || ' ' || initcap(substr(md5(n::text), 1, 9)),
  (array['DE', 'FR', 'PL', 'IT', 'ES', 'GB', 'US', 'NL'])[n % 8 + 1],
  (array['active', 'active', 'active', 'invited', 'closed'])[n % 5 + 1],
  (array['de', 'en', 'es', 'fr', 'it', 'pl'])[n % 6 + 1], 18 + n * 7 % 70, '+49' || 1500000000 + n,
  n * 13 % 100000 / 100.0, CASE WHEN n % 3 = 0 THEN {pid} END, 'note ' || md5((n * 7)::text), {age},
  {age} + interval '1 minute'"""
_MAILS = """SELECT {id}, {pid}, '<' || md5('m' || n) || '@mail.example.com>',
  CASE WHEN n <= {rows} THEN 'welcome' ELSE (array['invoice', 'reset', 'news'])[n % 3 + 1] END,
  CASE WHEN n <= {rows} THEN 'sent' ELSE (array['sent', 'queued', 'bounced'])[n % 3 + 1] END,
  'About your order of the ' || n % 28 + 1 || 'th, ' || substr(md5(n::text), 1, 12), n % 4, {age},
  {age} + interval '20 seconds'"""
_ORDERS = """SELECT {id}, {pid}, n % {tenants} + 1, 'R-' || lpad(n::text, 10, '0'),
  (array['new', 'paid', 'paid', 'shipped', 'shipped', 'void'])[n % 6 + 1],
  (array['EUR', 'EUR', 'EUR', 'USD', 'GBP', 'PLN'])[n % 6 + 1], 1 + n % 9, 5 + n % 20000 / 100.0,
  n % 900 / 100.0, 5 + n % 20000 / 100.0 + n % 900 / 100.0, n % 40, n % 3000 / 100.0, {age},
  CASE WHEN n % 6 > 0 THEN {age} + interval '2 hours' END, {age} + interval '1 second' - interval '{stale}'"""


@dataclass(frozen=True)
class Shop:
    """What it is like. `gappy`: keys have gaps and rows lie in any order; `planted`: each rule is
    violated a little."""

    rows: int
    gappy: bool = False
    planted: bool = True

    @property
    def sizes(self) -> dict[str, int]:
        """Rows of each table."""
        return {"people": self.rows, "mails": self.rows * 6 // 5, "orders": self.rows * 2}

    def __str__(self) -> str:
        """As the head of a report says it."""
        keys = (
            "keys with gaps, rows in any order" if self.gappy else "dense keys, rows in their order"
        )
        return f"{self.rows:,} people, {keys}, {'a few violations of each rule' if self.planted else 'clean'}"

    def expected(self, rules: Sequence[Promise]) -> dict[str, int]:
        """How many violations each rule has."""
        return {rule.id: rule.planted if self.planted else 0 for rule in rules}

    def key(self, n: str) -> str:
        """The key of the nth row."""
        return (
            f"({n})::bigint * 37 + abs(hashint8(({n})::bigint) % 31)"
            if self.gappy
            else f"({n})::bigint"
        )


def fill(
    database: Database, shop: Shop, rules: Sequence[Promise], more: Sequence[str] = ()
) -> None:
    """Make the tables, their rows, and what is wrong with them. `more` are statements before the
    tables are tidied."""
    steps = [
        *_steps(shop),
        *(_spoiling(shop, rules) if shop.planted else ()),
        *more,
        "VACUUM ANALYZE",
    ]
    with (
        database.engine().connect() as connection,
        click.progressbar(steps, label="shop", file=sys.stderr) as bar,
    ):
        for step in bar:
            connection.execute(text(step.replace(":", "\\:")))
        _unprovable(connection)


def _steps(shop: Shop) -> Iterator[str]:
    yield from (statement for statement in _DDL.split(";") if statement.strip())
    codes = [first + second for first, second in zip("DFPIEGUNACHS", "ERLTSBSLTHUE", strict=True)]
    listed = ", ".join(f"('{code}', 'Country {code}')" for code in codes)
    yield f"INSERT INTO countries VALUES {listed}"
    order = " ORDER BY hashint8(n)" if shop.gappy else ""
    for (table, size), select in zip(shop.sizes.items(), (_PEOPLE, _MAILS, _ORDERS), strict=True):
        made = select.format(
            id=shop.key("n"),
            pid=shop.key(f"(n - 1) % {shop.rows} + 1"),
            age=f"date_trunc('hour', now()) - ({size} - n) * interval '1 second' * {63_000_000 / size}",
            tenants=TENANTS,
            rows=shop.rows,
            stale="3 days" if shop.planted else "0 days",
        )
        yield f"INSERT INTO {table} {made} FROM generate_series(1, {size}) AS s(n){order}"
    yield from (statement for statement in _INDEXES.split(";") if statement.strip())


def more(shop: Shop, first: int, last: int) -> Iterator[str]:
    """New people, each with a welcome mail and an order, all made now; counted on from the last
    ones."""
    for (table, size), select in zip(shop.sizes.items(), (_PEOPLE, _MAILS, _ORDERS), strict=True):
        made = select.format(
            id=shop.key("n"),
            pid=shop.key(f"n - {size} + {shop.rows}"),
            age="now() - interval '2 minutes'",
            tenants=TENANTS,
            rows=2 * size,
            stale="0 days",
        )
        yield f"INSERT INTO {table} {made} FROM generate_series({size + first}, {size + last}) AS s(n)"


def _spoiling(shop: Shop, rules: Sequence[Promise]) -> Iterator[str]:
    """An UPDATE for each rule, of rows spread over the table that no other rule's violations
    use."""
    last = shop.sizes["orders"]
    yield f"DELETE FROM orders WHERE id = {shop.key(str(last))}"
    used = {"orders": {last}, "people": set[int](), "mails": set[int]()}
    for rule in rules:
        if not rule.wrong:
            continue
        table = rule.planted_in or rule.table
        # A welcome mail that is spoiled would be another rule's violation, too.
        first = shop.rows + 1 if table == "mails" and not rule.planted_in else 1
        end = shop.rows if rule.planted_in else shop.sizes[table]
        places = ", ".join(map(str, _spread(first, end, rule.planted, used[table])))
        yield (
            f"UPDATE {table} SET {rule.wrong} FROM unnest(array[{places}]) AS n, {table} AS twin"
            f" WHERE {table}.id = {shop.key('n')} AND twin.id = {shop.key('n + 1')}"
        )


def _spread(first: int, end: int, count: int, used: set[int]) -> Iterator[int]:
    """So many places with a neighbour, none of which is used."""
    for nth in range(1, count + 1):
        place = first + (end - first) * nth // (count + 1)
        while used & {place, place + 1}:
            place += 1
        used.update((place, place + 1))
        yield place


def _unprovable(connection: Connection) -> None:
    """Nothing but primary keys: a constraint that proved a rule would measure something else."""
    others = "SELECT count(*) FROM pg_constraint WHERE contype <> 'p' AND conrelid <> 0 AND connamespace <> 11"
    assert connection.execute(text(others)).scalar_one() == 0
