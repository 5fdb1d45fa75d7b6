"""A pattern that is measured instead of counted matches the same texts: on PostgreSQL, with random
patterns."""

import random
import re

import pytest
from sqlalchemy import ColumnClause, column, select, table

from sanityd.sources.catalog import ColumnInfo, Family
from sanityd.sources.postgresql_dialect import PostgresqlDialect
from sanityd.sources.postgresql_regex import rewrite
from tests.support.services import owner

PARTS = ["a", "b", "-", "[ab]", "[^a]", ".", "[a-c]", r"\d", r"\.", "[.]"]
LETTERS = "aab.-cä1\n"


def _patterns(chance: random.Random) -> list[str]:
    """With one counted part, mostly; some with what must be left alone."""
    found = []
    for _ in range(60):
        parts = chance.choices(PARTS, k=chance.randrange(1, 5))
        place = chance.randrange(len(parts))
        low = chance.randrange(5)
        parts[place] += chance.choice(
            [f"{{{low}}}", f"{{{low},{low + chance.randrange(5)}}}", "{4,9}", "{5}"]
        )
        if chance.random() < 0.3:
            parts[chance.randrange(len(parts))] += chance.choice(["*", "?", "+", "|a", "{2}"])
        found.append("".join(parts))
    return found


def _valid(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    # Python has possessive and lazy forms of repetition where PostgreSQL has others or none.
    return not re.search(r"[*+?}][*+?{]", pattern)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_measured_matches_what_is_counted(postgres: str, seed: int) -> None:
    chance = random.Random(seed)
    texts = ["".join(chance.choices(LETTERS, k=chance.randrange(12))) for _ in range(400)]
    engine = owner(postgres)
    words: ColumnClause[str] = column("word")
    info = ColumnInfo("word", "text", Family.TEXT)
    picked = [pattern for pattern in _patterns(chance) if _valid(pattern)]
    assert (
        sum(rewrite(pattern) is not None for pattern in picked)
        > 10
        < sum(rewrite(pattern) is None for pattern in picked)
    )
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TEMP TABLE texts (word text)")
        connection.exec_driver_sql("INSERT INTO texts SELECT unnest(%s::text[])", (texts,))
        dialect, rows = PostgresqlDialect(), table("texts", words)
        for pattern in picked:
            ours = dialect.matches(dialect.text(words, info), pattern, part=False)
            found = connection.execute(select(words).select_from(rows).where(ours)).scalars().all()
            plain = connection.exec_driver_sql(
                "SELECT word FROM texts WHERE word ~ %s", (f"^(?:{pattern})$",)
            )
            expected = plain.scalars().all()
            assert sorted(found) == sorted(expected), pattern
    engine.dispose()


LEFT_ALONE = r"""
a{3}b{4} (ab){5} x*a{9} a{9}? ^a{9} \ma{9} [[:alpha:]]{9} []a]{9} a|b{9} (?i)a{9} ***=a{9} a{9}$ \xa{9} (a)\1{9}
a{9,} a{9,5} {9} [a{9} [[.a.]]{9} [^]a]{9}
"""


@pytest.mark.parametrize("pattern", LEFT_ALONE.split())
def test_what_it_is_not_sure_of_is_left_alone(pattern: str) -> None:
    assert rewrite(pattern) is None
