"""Whole numbers of two databases: bitmaps say what sets say, whatever the sign, the size and the
gaps."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import NullPool, create_engine, select

from sanityd.checks.bitmaps import NotWhole, Numbers, differing
from sanityd.sources.base import Snapshot, SourceSettings
from sanityd.sources.open import open_source

LARGEST = 2**63 - 1
#: Near each other, at the edges of a bitmap, and at the edges of what fits.
NUMBERS = st.integers(-70, 70) | st.sampled_from(
    [-LARGEST - 1, -LARGEST, -(2**40), 63, 64, 2**40, LARGEST]
)
LISTS = st.lists(NUMBERS, max_size=40)


class Lists:
    """Two tables of numbers in one database."""

    def __init__(self, url: str, kind: str) -> None:
        self.engine, self.source = (
            create_engine(url, poolclass=NullPool),
            open_source(SourceSettings("app", url)),
        )
        self.do(f"CREATE TABLE mine (n {kind})", f"CREATE TABLE theirs (n {kind})")

    def do(self, *statements: str) -> None:
        """Do something as the owner."""
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def fill(self, **tables: list[int]) -> None:
        """Replace what the tables hold."""
        for table, numbers in tables.items():
            self.do(f"DELETE FROM {table}")
            if numbers:
                self.do(
                    f"INSERT INTO {table} VALUES " + ", ".join(f"({number})" for number in numbers)
                )

    def differing(self, *, common: bool = False) -> list[int]:
        """What the comparison says."""
        with self.source.snapshot() as here, self.source.snapshot() as there:
            return list(differing(numbers(here, "mine"), numbers(there, "theirs"), common=common))

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()
        self.source.close()


def numbers(snapshot: Snapshot, name: str) -> Numbers:
    """A table's numbers in a snapshot."""
    table = snapshot.table(name)
    return Numbers(snapshot, table.columns["n"], select(table.clause.c.n))


@pytest.fixture
def lists(database_url: str) -> Iterator[Lists]:
    """Signed numbers of 64 bits."""
    made = Lists(database_url, "bigint")
    yield made
    made.close()


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(mine=LISTS, theirs=LISTS)
def test_numbers_differ_as_sets_do(lists: Lists, mine: list[int], theirs: list[int]) -> None:
    lists.fill(mine=mine, theirs=theirs)
    assert lists.differing() == sorted(set(mine) - set(theirs))
    assert lists.differing(common=True) == sorted(set(mine) & set(theirs))


def test_many_numbers_are_few_rows_where_a_database_can(lists: Lists) -> None:
    """A thousand numbers are 16 bitmaps; SQLite gives them one by one, as its columns hold what
    they like. So does DuckDB, which fetches as fast as it groups."""
    lists.fill(mine=list(range(-500, 500)), theirs=[])
    with lists.source.snapshot() as snapshot:
        rows = list(numbers(snapshot, "mine").stream(dense=True))
    assert len(rows) == (
        16 if lists.engine.dialect.name in ("postgresql", "mysql", "mariadb") else 1000
    )
    assert sum(bits.bit_count() for _, bits in rows) == 1000


@pytest.mark.parametrize("kind", ["bigint unsigned", "int unsigned", "smallint"])
def test_numbers_without_a_sign_are_in_order_too(mariadb: str, kind: str) -> None:
    made = Lists(mariadb, kind)
    largest = [2**64 - 1, 2**63, 2**63 + 70] if "big" in kind else [2**15 - 1]
    made.fill(mine=[1, 2, 65, *largest], theirs=[2, largest[0]])
    assert made.differing() == [1, 65, *sorted(largest[1:])]
    assert made.differing(common=True) == sorted([2, largest[0]])
    made.close()


def test_what_is_no_whole_number_after_all_is_refused(tmp_path: Path) -> None:
    """A column of SQLite holds what it likes, and `'x' >> 6` is 0 there."""
    (tmp_path / "x.db").touch()
    made = Lists(f"sqlite:///{tmp_path / 'x.db'}", "integer")
    made.do("INSERT INTO mine VALUES (1), ('x'), (2.5)", "INSERT INTO theirs VALUES (1)")
    with pytest.raises(NotWhole):
        made.differing()
    made.fill(mine=[1, 2])
    made.do("INSERT INTO theirs VALUES (1.5)")
    with pytest.raises(NotWhole):
        made.differing()
    made.close()
