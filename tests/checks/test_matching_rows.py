"""Rows of two tables are matched without reading one table anew for each row of the other: all
pairs of types, with and without an index."""

from itertools import product

import pytest
from sqlalchemy import Connection, event

from sanityd.errors import CheckError
from sanityd.sources.base import Source, SourceSettings
from sanityd.sources.open import open_source
from tests.bench.matching import COUNTS, PAIRS, TABLES, fill, statement_of
from tests.support.services import owner

OWN, OTHER = 100, 300


@pytest.fixture
def source(mariadb: str) -> Source:
    engine = owner(mariadb)
    fill(engine, OWN, OTHER)
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

        for table, (own, other), count in product(TABLES, PAIRS, COUNTS):
            _, statement = statement_of(snapshot, own, table, other, count)
            before = rows_read()
            try:
                snapshot.rows(statement)
            except CheckError:
                continue
            if rows_read() - before > 10 * (OWN + OTHER):
                slow.append((table, own, other, count, rows_read() - before))
    source.close()
    assert not slow, "\n".join(map(str, slow))


def test_sqlite_scans_no_table_in_a_correlated_subquery(sqlite: str) -> None:
    engine = owner(sqlite)
    fill(engine, OWN, OTHER)
    slow = []
    source = open_source(SourceSettings("app", sqlite))
    with source.snapshot() as snapshot, engine.connect() as connection:
        for table, (own, other), count in product(TABLES, PAIRS, COUNTS):
            _, statement = statement_of(snapshot, own, table, other, count)
            sql = snapshot.sql(statement)
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}").all()
            correlated = {row[0] for row in plan if row[3].startswith("CORRELATED")}
            scans = [row[3] for row in plan if row[1] in correlated and "SCAN" in row[3]]
            if scans:
                slow.append((table, own, other, count, scans))
    source.close()
    engine.dispose()
    assert not slow, "\n".join(map(str, slow))
