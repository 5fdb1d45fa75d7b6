"""How constraints are recognised though the database writes them in its own words. Pure."""

import pytest

from sanityd.checks.proofs import folded_column

BOTH = frozenset({"lower", "trim"})
ICU = 'email collate "und-x-icu"'


@pytest.mark.parametrize(
    ("sql", "column", "functions"),
    [
        ('trim(lower(email COLLATE "und-x-icu") COLLATE "C")', ICU, BOTH),
        ('TRIM(BOTH FROM (lower((email COLLATE "und-x-icu")) COLLATE "C"))', ICU, BOTH),
        ("lower((email)::text)", "email", {"lower"}),
        ('TRIM(BOTH FROM (lower(((email)::text COLLATE "und-x-icu")) COLLATE "C"))', ICU, BOTH),
        ('(lower(main."trim"(email)))', "email", BOTH),
        ('trim(lower(email COLLATE "C"))', "email", BOTH),
        ("btrim(email)", "email", {"trim"}),
        ("email", "email", set()),
        ("lower(email) || 'x'", "lower(email) || 'x'", set()),
        ("lower(a) || lower(b)", "a) || lower(b", {"lower"}),
        ("lower(substr(email, 1, 3))", "substr(email, 1, 3)", {"lower"}),
    ],
)
def test_an_expression_is_a_column_and_what_is_ignored(
    sql: str, column: str, functions: set[str]
) -> None:
    assert folded_column(sql) == (column, frozenset(functions))
