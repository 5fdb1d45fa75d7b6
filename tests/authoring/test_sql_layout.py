"""SQL laid out for people: a clause per line, and nothing but blanks and line breaks is changed."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlglot import Dialect
from sqlglot.errors import SqlglotError

from sanityd.authoring.sql_layout import format_sql

HOSTILE = Path(__file__).parents[1] / "sources" / "hostile.yaml"

#: The user's own condition, and what SQLAlchemy made round it.
STATEMENT = """SELECT people.id
FROM people LEFT OUTER JOIN mails ON mails.person_id = people.id
WHERE NOT (EXISTS (SELECT 1
FROM mails
WHERE mails.person_id = people.id AND (
template = 'a  and
 b' -- not yet
 or age between 1 and 2
))) AND CASE WHEN (a AND b) THEN 1 END = 1 AND c BETWEEN 3 AND 4
 LIMIT 10"""

LAID_OUT = """SELECT people.id
FROM people
  LEFT OUTER JOIN mails ON mails.person_id = people.id
WHERE NOT (EXISTS (
  SELECT 1
  FROM mails
  WHERE mails.person_id = people.id
    AND (template = 'a  and
 b' -- not yet
    or age between 1 and 2)
))
  AND CASE WHEN (a AND b) THEN 1 END = 1
  AND c BETWEEN 3 AND 4
LIMIT 10"""


def test_a_clause_has_a_line_and_a_subquery_is_moved_in() -> None:
    assert format_sql(STATEMENT, "sqlite") == LAID_OUT


@pytest.mark.parametrize("dialect", ["sqlite", "postgres", "mysql", "duckdb"])
def test_only_blanks_are_changed(dialect: str) -> None:
    """In all the SQL that was ever thought up against the gate, and in what can't even be read."""
    changed = 0
    for sql in _texts(yaml.safe_load(HOSTILE.read_text(encoding="utf-8"))):
        laid = format_sql(sql, dialect)
        changed += laid != sql
        assert _words(laid, dialect) == _words(sql, dialect), sql
    assert changed > 20


def test_what_can_not_be_read_stays_as_it_is() -> None:
    assert format_sql("select 'no end", "duckdb") == "select 'no end"


def _words(sql: str, dialect: str) -> Any:
    try:
        return [token.text for token in Dialect.get_or_raise(dialect).tokenize(sql)]
    except SqlglotError:
        return "".join(sql.split())


def _texts(data: Any) -> list[str]:
    if isinstance(data, str):
        return [data] if " " in data else []
    below = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return [text for item in below for text in _texts(item)]
