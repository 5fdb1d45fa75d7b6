"""Parameters in a user's SELECT: `:key`, `:tenant_id`. Their values are bound, never put into SQL.

For the SQL gate and for what rewrites SQL, a parameter is the name of a column that no table has.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sqlalchemy import BindParameter, bindparam
from sqlalchemy.types import NullType

from sanityd.sources.raw_sql import token
from sanityd.sources.sql_gate import PLACEHOLDER, GateRefusal, gate_query

_NAME = re.compile(r"[A-Za-z_]\w*")
#: What a parameter is called while its SQL is checked and rewritten.
_STAND_IN = re.compile(r"sanityd_parameter_((?:[0-9a-f]{2})+)_end")
_HAS_ORDER = re.compile(r"\border\s+by\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a SQL text: its name, and where it stands, with its colon."""

    name: str
    start: int
    end: int


def parameters_of(sql: str, dialect: str) -> list[Parameter]:
    """Return the parameters of a SQL text in their order; none where it can't be read.

    Parameters: `dialect` is sqlglot's name of the database's SQL.
    """
    from sqlglot import TokenType, tokenize
    from sqlglot.errors import SqlglotError

    try:
        tokens = tokenize(sql, read=dialect)
    except SqlglotError:
        return []
    parameters = []
    for colon, name in pairwise(tokens):
        is_adjacent = colon.token_type is TokenType.COLON and name.start == colon.end + 1
        word = sql[name.start : name.end + 1]
        if is_adjacent and _NAME.fullmatch(word):
            parameters.append(Parameter(word, colon.start, name.end + 1))
    return parameters


def gate_lookup(sql: str, dialect: str, rows: int) -> str:
    """Return one SELECT with a stand-in for each parameter. Raises GateRefusal for anything else.

    Parameters: `rows` is the most rows that are needed of one that is ordered.
    """
    if _STAND_IN.search(sql):
        raise GateRefusal("a name of sanityd's own is not allowed", "Choose another name.")
    parameters = parameters_of(sql, dialect)
    try:
        gate_query(without_parameters(sql, dialect), dialect)
    except GateRefusal as refusal:
        if refusal.message == PLACEHOLDER:
            refusal.advice = "Write `:key`, or `:` and the name of a column of the key."
        raise
    plain = gate_query(_replaced(sql, parameters, _stand_in), dialect)
    return _limited(plain, dialect, rows)


def without_parameters(sql: str, dialect: str) -> str:
    """Return the SQL with a number in place of each parameter; all positions stay the same."""
    return _replaced(sql, parameters_of(sql, dialect), _blank)


def columns_of(sql: str, dialect: str) -> list[str] | None:
    """Return the names of the columns of a SELECT; None where only the database knows them."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(without_parameters(sql, dialect), read=dialect)
    except SqlglotError:
        return None
    if not isinstance(tree, exp.Query):
        return None
    names = tree.named_selects
    if "" in names or "*" in names or len(names) != len(tree.selects):
        return None
    return list(names)


def bound(sql: str, values: Mapping[str, Any]) -> tuple[str, list[BindParameter[Any]]]:
    """Return the text of a statement with parameters of SQLAlchemy, and these with their values.

    Parameters: `sql` is what `gate_lookup` returned; `values` are by name, one for each parameter.
    """
    parts = _STAND_IN.split(sql)
    statement = token(parts[0])
    parameters = {}
    for encoded, following in zip(parts[1::2], parts[2::2], strict=True):
        name = bytes.fromhex(encoded).decode()
        bound_name = f"sanityd_{name}"
        parameters[name] = bindparam(bound_name, values[name], NullType())
        statement += f" :{bound_name} {token(following)}"
    return statement, list(parameters.values())


def _limited(sql: str, dialect: str, rows: int) -> str:
    """Return an ordered SELECT with a limit. MariaDB forgets the order of a subquery without."""
    import sqlglot

    if not _HAS_ORDER.search(sql):
        return sql
    arguments = sqlglot.parse_one(sql, read=dialect).args
    is_limited = any(arguments.get(name) for name in ("limit", "offset", "fetch"))
    if is_limited or not arguments.get("order"):
        return sql
    return f"{sql}\nLIMIT {rows}"


def _replaced(sql: str, parameters: list[Parameter], text: Callable[[str], str]) -> str:
    for parameter in reversed(parameters):
        sql = sql[: parameter.start] + text(parameter.name) + sql[parameter.end :]
    return sql


def _blank(name: str) -> str:
    return " " + "0".ljust(len(name))


def _stand_in(name: str) -> str:
    return f" sanityd_parameter_{name.encode().hex()}_end "
