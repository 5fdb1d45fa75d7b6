"""Calls in SQL that has passed the gate: their arguments, and other names for their functions."""

from collections.abc import Callable, Sequence, Set
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import Token

#: Whether the call whose name has this index among the tokens is to be renamed.
Decision = Callable[["Sequence[Token]", int], bool]


def rename_calls(sql: str, dialect: str, names: Set[str], decide: Decision) -> str:
    """Return the SQL in which `sanityd_` precedes the name of each call that is to be renamed.

    SQL that can't be read is returned as it is.

    Parameters: `names` are in lower case.
    """
    lowered = sql.lower()
    if not any(name in lowered for name in names):
        return sql
    from sqlglot import TokenType, tokenize
    from sqlglot.errors import SqlglotError

    try:
        tokens = tokenize(sql, read=dialect)
    except SqlglotError:
        return sql
    pieces, end = [], 0
    for index, token in enumerate(tokens[:-1]):
        if token.token_type is TokenType.STRING or token.text.lower() not in names:
            continue
        if tokens[index + 1].token_type is TokenType.L_PAREN and decide(tokens, index):
            pieces += [sql[end : token.start], f"sanityd_{token.text.lower()}"]
            end = token.end + 1
    return "".join([*pieces, sql[end:]])


def second_argument(tokens: "Sequence[Token]") -> int | None:
    """Return the index of the token with which the second argument of a call begins.

    None when it has fewer. Parameters: `tokens` begin with the bracket that the call opens.
    """
    from sqlglot import TokenType

    depth = 0
    for index, token in enumerate(tokens):
        if token.token_type is TokenType.L_PAREN:
            depth += 1
        elif token.token_type is TokenType.R_PAREN:
            depth -= 1
        if depth == 0:
            return None
        if depth == 1 and token.token_type is TokenType.COMMA:
            return index + 1
    return None
