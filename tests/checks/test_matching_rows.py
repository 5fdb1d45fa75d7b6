"""Rows of two tables are matched without reading one table anew for each row of the other: all
pairs of types, with and without an index."""

from itertools import product

import pytest
from sqlalchemy import Connection, Engine, event

from sanityd.checks.invariant import Invariant, Subject, TableName
from sanityd.checks.kinds.has import Has
from sanityd.checks.planner import plan_check
from sanityd.errors import CheckError
from sanityd.sources.base import Source, SourceSettings
from sanityd.sources.open import open_source
from tests.support.services import owner

TYPES = {
    "t": "varchar(40)",
    "i": "integer",
    "n": "decimal(12, 2)",
    "f": "double precision",
    "d": "date",
    "u": "char(36)",
}
OWN, OTHER = 100, 300
#: No rule compares a date with a number.
PAIRS = [
    pair for pair in product(TYPES, repeat=2) if "d" not in pair or set(pair).isdisjoint("inf")
]
COUNTS = ["at least 1", "none", "at most 1"]


def fill(engine: Engine) -> None:
    columns = ", ".join(f"{name} {type_}" for name, type_ in TYPES.items())
    with engine.begin() as connection:
        for table, rows in (("own", OWN), ("plain", OTHER), ("indexed", OTHER)):
            connection.exec_driver_sql(f"CREATE TABLE {table} (id integer PRIMARY KEY, {columns})")
            values = ", ".join(
                f"({n}, '{n}', {n}, {n}.00, {n}, '2{n:03}-01-01', '{n:036}')"
                for n in range(1, rows + 1)
            )
            connection.exec_driver_sql(f"INSERT INTO {table} VALUES {values}")
        for name in TYPES:
            connection.exec_driver_sql(f"CREATE INDEX by_{name} ON indexed ({name})")
        if engine.dialect.name == "mysql":
            connection.exec_driver_sql("ANALYZE TABLE own, plain, indexed")


def has(own: str, table: str, other: str, count: str) -> Invariant:
    subject = Subject("app", TableName("app", "own"), frozenset({"app"}), key=("id",))
    check = Has.model_validate({"in": table, "on": {own: other}, "count": count})
    return Invariant("rule", "has", check, subject)


@pytest.fixture
def source(mariadb: str) -> Source:
    engine = owner(mariadb)
    fill(engine)
    engine.dispose()
    return open_source(SourceSettings("app", mariadb))


def test_mariadb_reads_each_row_a_few_times(source: Source) -> None:
    connections: list[Connection] = []
    event.listen(source.engine, "engine_connect", connections.append)  # type: ignore[attr-defined]
    slow = []
    with source.snapshot() as snapshot:

        def rows_read() -> int:
            rows = connections[-1].exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'")
            return sum(int(row[1]) for row in rows)

        for table, (own, other), count in product(("plain", "indexed"), PAIRS, COUNTS):
            planned = plan_check(has(own, table, other, count), snapshot)
            [(scope, statement)] = planned.form.statements(planned)
            before = rows_read()
            try:
                scope.snapshot.rows(statement)
            except CheckError:
                continue
            if rows_read() - before > 10 * (OWN + OTHER):
                slow.append((table, own, other, count, rows_read() - before))
    source.close()
    assert not slow, "\n".join(map(str, slow))


def test_sqlite_scans_no_table_in_a_correlated_subquery(sqlite: str) -> None:
    engine = owner(sqlite)
    fill(engine)
    slow = []
    source = open_source(SourceSettings("app", sqlite))
    with source.snapshot() as snapshot, engine.connect() as connection:
        for table, (own, other), count in product(("plain", "indexed"), PAIRS, COUNTS):
            planned = plan_check(has(own, table, other, count), snapshot)
            [(scope, statement)] = planned.form.statements(planned)
            sql = scope.snapshot.sql(statement)
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}").all()
            correlated = {row[0] for row in plan if row[3].startswith("CORRELATED")}
            scans = [row[3] for row in plan if row[1] in correlated and "SCAN" in row[3]]
            if scans:
                slow.append((table, own, other, count, scans))
    source.close()
    engine.dispose()
    assert not slow, "\n".join(map(str, slow))
