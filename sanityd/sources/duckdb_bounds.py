"""Functions of DuckDB that make long texts and lists, replaced by macros that refuse huge ones.

DuckDB notices an interrupt only between two steps of a query, and the limit of its memory does not
count the texts that one step makes: `md5(repeat('x', 3000000000))` is one step of 6 GB.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sanityd.errors import CheckError
from sanityd.sources.sql_calls import rename_calls

if TYPE_CHECKING:
    from sqlglot import Token

#: The longest text that a call may make, in bytes. A step makes up to 2,048 of them.
LONGEST_TEXT = 1_000_000
#: The longest list that a call may make.
LONGEST_LIST = 10_000_000
#: How many products of the lengths of two texts a call may need that compares them.
_COMPARISONS = 100_000_000

#: Functions that take a width from their first argument, a text.
_FORMATS = frozenset({"format", "printf"})
_WIDE = re.compile(r"[0-9]{6}")

#: The message of the error that a macro raises.
TOO_BIG = "sanityd limits what one call makes"


def _checked(size: str, limit: int, argument: str) -> str:
    """Return SQL of an argument that is an error where the size is above the limit."""
    return f"CASE WHEN {size} > {limit} THEN error('{TOO_BIG}') ELSE {argument} END"


def _number(argument: str) -> str:
    """Return SQL of a number; of a time or an interval, its seconds."""
    text = f"CAST({argument} AS VARCHAR)"
    return (
        f"coalesce(try_cast({text} AS DOUBLE), epoch(try_cast({text} AS TIMESTAMP)),"
        f" epoch(try_cast({text} AS INTERVAL)))"
    )


def _series(name: str) -> str:
    steps = f"({_number('b')} - {_number('a')}) / nullif({_number('c')}, 0)"
    two = _checked("CAST(b AS DOUBLE) - a", LONGEST_LIST, "b")
    return (
        f"(a) AS {name}({_checked('a', LONGEST_LIST, 'a')}),"
        f" (a, b) AS {name}(a, {two}),"
        f" (a, b, c) AS {name}(a, {_checked(steps, LONGEST_LIST, 'b')}, c)"
    )


def _size(argument: str) -> str:
    """Return SQL of the bytes of a value of any type, at least one."""
    return f"CAST(strlen(CAST({argument} AS VARCHAR)) + 1 AS DOUBLE)"


def _compared(name: str) -> str:
    product = f"{_size('a')} * {_size('b')}"
    return f"(a, b) AS {name}({_checked(product, _COMPARISONS, 'a')}, b)"


def _resized(name: str) -> str:
    size = _checked("b", LONGEST_LIST, "b")
    return f"(a, b) AS {name}(a, {size}), (a, b, c) AS {name}(a, {size}, c)"


_REPEATED = f"{_size('a')} * b"
_PADDED = _checked("b", LONGEST_TEXT, "b")
_REPLACED = f"{_size('a')} * greatest({_size('b')}, {_size('c')})"
_MACROS = {
    "repeat": f"(a, b) AS repeat(a, {_checked(_REPEATED, LONGEST_TEXT, 'b')})",
    "lpad": f"(a, b, c) AS lpad(a, {_PADDED}, c)",
    "rpad": f"(a, b, c) AS rpad(a, {_PADDED}, c)",
    "bitstring": f"(a, b) AS bitstring(a, {_PADDED})",
    "replace": f"(a, b, c) AS replace({_checked(_REPLACED, _COMPARISONS, 'a')}, b, c)",
    **{name: _resized(name) for name in ("list_resize", "array_resize")},
    **{name: _series(name) for name in ("range", "generate_series")},
    **{
        name: _compared(name)
        for name in ("levenshtein", "editdist3", "damerau_levenshtein", "jaro_similarity")
    },
}


def macros_of(sql: str) -> dict[str, str]:
    """Return the macros that the SQL of `bound_calls` needs: name → statement that makes it."""
    macros = {}
    for name, macro in _MACROS.items():
        if f"sanityd_{name}" in sql:
            macros[name] = f"CREATE TEMP MACRO sanityd_{name}{macro}"
    return macros


def bound_calls(sql: str) -> str:
    """Return the SQL with calls of the macros.

    A series that is a table stays, as DuckDB makes its rows step by step. Raises CheckError for a
    format that asks for a long text.
    """
    return rename_calls(sql, "duckdb", _MACROS.keys() | _FORMATS, _is_bounded)


def too_big() -> CheckError:
    """Return the error of a statement with a call that makes, or compares, too much."""
    return CheckError(
        "the statement makes a text or list that is too long, or compares long texts",
        f"One call may make {LONGEST_TEXT:,} bytes of text, or a list of {LONGEST_LIST:,} values.",
    )


def _is_bounded(tokens: "Sequence[Token]", index: int) -> bool:
    """Return whether a call has a macro in its place. Raises CheckError for too wide formats."""
    if tokens[index].text.lower() not in _FORMATS:
        return _is_expression(tokens, index)
    if any(_WIDE.search(token.text) for token in tokens[index + 2 : index + 3]):
        raise too_big()
    return False


def _is_expression(tokens: "Sequence[Token]", index: int) -> bool:
    """Return whether a call is an expression, and neither a table nor a function of a schema."""
    from sqlglot import TokenType

    if index == 0:
        return True
    before = tokens[index - 1].token_type
    if before in (TokenType.FROM, TokenType.JOIN, TokenType.LATERAL, TokenType.DOT):
        return False
    return before is not TokenType.COMMA or not _is_in_from(tokens[:index])


def _is_in_from(tokens: "Sequence[Token]") -> bool:
    """Return whether the last word of a clause, in the brackets that are open, is FROM."""
    from sqlglot import TokenType

    depth = 0
    for token in reversed(tokens):
        if token.token_type is TokenType.R_PAREN:
            depth += 1
        elif token.token_type is TokenType.L_PAREN:
            depth -= 1
        if depth < 0:
            return False
        if depth == 0 and token.text.upper() in _CLAUSES:
            return token.token_type is TokenType.FROM
    return False


_CLAUSES = frozenset({"SELECT", "FROM", "WHERE", "BY", "HAVING", "VALUES", "ON", "QUALIFY"})
