"""A shop on any database, with facts to propose rules for, and with planted violations."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, table
from sqlalchemy import column as column_

from tests.support.services import owner

PEOPLE, ORDERS, LINES = 60, 120, 240
#: A value that would break out of a comment, a terminal, or YAML.
HOSTILE = "x\n  evil: {table: app.people}\r\x1b[31m # \u202e"

_TABLES = (
    "CREATE TABLE people (id INTEGER PRIMARY KEY, email VARCHAR(80), name VARCHAR(80),"
    " login VARCHAR(40) NOT NULL UNIQUE, status VARCHAR(20), country_code VARCHAR(3),"
    " website VARCHAR(90), created_at TIMESTAMP NULL)",
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, person_id INTEGER NOT NULL, number INTEGER,"
    " subtotal DECIMAL(12, 2), tax DECIMAL(12, 2), total DECIMAL(12, 2), discount_percent INTEGER,"
    " status VARCHAR(20), placed_at TIMESTAMP NULL, shipped_at TIMESTAMP NULL)",
    "CREATE TABLE order_lines (order_id INTEGER NOT NULL, line INTEGER NOT NULL, quantity INTEGER,"
    " note VARCHAR(80), PRIMARY KEY (order_id, line))",
    "CREATE TABLE vacant (id INTEGER PRIMARY KEY, email VARCHAR(80))",
    "CREATE TABLE {odd} (id INTEGER PRIMARY KEY, {select} VARCHAR(80),"
    " {from_} TIMESTAMP NULL, {to} TIMESTAMP NULL)",
    "CREATE TABLE dotted (id INTEGER PRIMARY KEY, {dot} VARCHAR(20), email VARCHAR(80))",
    "CREATE VIEW known_people AS SELECT id, email, status FROM people WHERE status <> 'gone'",
)
NAMES = {
    "odd": 'Odd: "Table" #1',
    "select": "select email",
    "from_": "valid from",
    "to": "valid to",
    "dot": "a.b",
}


def quoted(url: str, name: str) -> str:
    """A name as that database has it in SQL."""
    return f"`{name}`" if url.startswith("mysql") else '"' + name.replace('"', '""') + '"'


def build(url: str, *, schema: bool = False) -> None:
    """Make the shop; where `schema`, with tables in another schema, too."""
    names = {key: quoted(url, name) for key, name in NAMES.items()}
    engine = owner(url)
    with engine.begin() as connection:
        for statement in _TABLES:
            connection.exec_driver_sql(statement.format(**names))
        _fill(connection, "people", _people())
        _fill(connection, "orders", _orders())
        _fill(connection, "order_lines", _lines())
        _fill(connection, NAMES["odd"], _odd())
        _fill(
            connection,
            "dotted",
            ({"id": n, "a.b": "x", "email": f"d{n}@example.com"} for n in range(30)),
        )
        if schema:
            connection.exec_driver_sql("CREATE SCHEMA crm")
            connection.exec_driver_sql(
                "CREATE TABLE crm.notes"
                " (id INTEGER PRIMARY KEY, person_id INTEGER, note VARCHAR(9))"
            )
            rows = ({"id": n, "person_id": n % PEOPLE + 1, "note": "n"} for n in range(50))
            _fill(connection, "notes", rows, schema="crm")
    engine.dispose()


def _fill(
    connection: Connection, name: str, rows: Iterator[dict[str, Any]], schema: str | None = None
) -> None:
    all_rows: Sequence[dict[str, Any]] = list(rows)
    connection.execute(
        insert(table(name, *(column_(key) for key in all_rows[0]), schema=schema)), all_rows
    )


def _people() -> Iterator[dict[str, Any]]:
    """Iterate over people: one duplicate address, one blank name, one unknown status."""
    start = datetime.now(UTC).replace(tzinfo=None, microsecond=0) - timedelta(days=400)
    for n in range(1, PEOPLE + 1):
        yield {
            "id": n,
            "email": f"Person{n - 1}@Example.com" if n == 7 else f"person{n}@example.com",
            "name": "   " if n == 9 else f"Person {n}",
            "login": f"login{n}",
            "status": "Active" if n == 11 else ("active", "blocked", "gone")[n % 3],
            "country_code": ("DE", "FR", "PL")[n % 3],
            "website": HOSTILE if n == 13 else f"https://example.com/{n}",
            "created_at": start + timedelta(hours=n),
        }


def _orders() -> Iterator[dict[str, Any]]:
    """Iterate over orders: two of missing people, one wrong total, one shipped before placed."""
    start = datetime.now(UTC).replace(tzinfo=None, microsecond=0) - timedelta(days=300)
    for n in range(1, ORDERS + 1):
        subtotal, tax = n * 10 + n % 7, n % 5 + 1
        placed = start + timedelta(hours=n)
        yield {
            "id": n,
            "person_id": 900 + n if n in (20, 21) else n % PEOPLE + 1,
            "number": 1000 + n,
            "subtotal": subtotal,
            "tax": tax,
            "total": subtotal + tax + (n == 33),
            "discount_percent": n % 101,
            "status": ("new", "paid", "sent")[n % 3],
            "placed_at": placed,
            "shipped_at": placed + timedelta(days=-2 if n == 44 else 2),
        }


def _lines() -> Iterator[dict[str, Any]]:
    """Iterate over two lines for each order but one; one quantity is negative."""
    for n in range(LINES):
        order = n // 2 + 1
        if order != 50:
            yield {
                "order_id": order,
                "line": n % 2 + 1,
                "quantity": -1 if n == 7 else n % 4 + 1,
                "note": HOSTILE,
            }


def _odd() -> Iterator[dict[str, Any]]:
    start = datetime.now(UTC).replace(tzinfo=None, microsecond=0) - timedelta(days=200)
    for n in range(40):
        begin = start + timedelta(days=n)
        yield {
            "id": n,
            "select email": f"odd{n}@example.com",
            "valid from": begin,
            "valid to": begin + timedelta(days=1),
        }
