"""Parameters of `evidence`: what is one, and that they open no way past the SQL gate."""

import pytest

from sanityd.sources.sql_gate import GateRefusal
from sanityd.sources.sql_parameters import bound, columns_of, gate_lookup, parameters_of
from tests.sources.test_sql_gate import DIALECTS, HOSTILE


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_parameter_is_a_name_behind_a_colon_outside_of_texts_and_comments(dialect: str) -> None:
    sql = (
        "select ':a', /* :b */ x from t -- :c\nwhere k = :key and n = cast(:n as char) or :Key > 1"
    )
    assert [parameter.name for parameter in parameters_of(sql, dialect)] == ["key", "n", "Key"]


def test_a_cast_is_no_parameter() -> None:
    parameters = parameters_of("select a::text from t where b = :key::int", "postgres")
    assert [parameter.name for parameter in parameters] == ["key"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "sql",
    [
        *HOSTILE[:20],
        "select 1; delete from t where id = :key",
        "select :load_extension('x')",
        "select * from t where id = :key for update",
        "select sanityd_parameter_6b6579_end from t",
        "select ? from t where id = :key",
    ],
)
def test_what_the_gate_refuses_it_refuses_with_parameters(sql: str, dialect: str) -> None:
    if dialect == "sqlite" and "for update" in sql.lower():
        pytest.skip("SQLite has no words for locks, and refuses them itself")
    with pytest.raises(GateRefusal):
        gate_lookup(sql, dialect, 5)


def test_a_refusal_points_at_its_place_behind_a_parameter() -> None:
    with pytest.raises(GateRefusal) as caught:
        gate_lookup("select 1 from t where id = :key and sleep(9)", "mysql", 5)
    assert (caught.value.line, caught.value.column) == (1, 37)


@pytest.mark.parametrize(
    ("sql", "is_limited"),
    [
        ("select a from t order by a -- last", True),
        ("select a from t union select b from u order by 1", True),
        ("select a from t order by a limit 3", False),
        ("select a from (select a from t order by a) x", False),
    ],
)
def test_an_order_is_kept_by_a_limit(sql: str, is_limited: bool) -> None:
    assert gate_lookup(sql, "mysql", 7).endswith("\nLIMIT 7") is is_limited


def test_a_value_is_bound_and_stands_nowhere_in_the_statement() -> None:
    hostile = "'; DROP TABLE t --"
    statement, [parameter] = bound(
        gate_lookup("select a from t where b = :b or c = :b", "sqlite", 5), {"b": hostile}
    )
    assert parameter.value == hostile
    assert statement.count(":sanityd_b") == 2
    assert "DROP" not in statement


def test_columns_are_known_where_the_sql_names_all() -> None:
    assert columns_of("select a, b as c from t", "postgres") == ["a", "c"]
    assert columns_of("select a from t where b = :key", "mysql") == ["a"]
    assert columns_of("select *, a from t", "postgres") is None
    assert columns_of("select a, count(*) from t", "postgres") is None
