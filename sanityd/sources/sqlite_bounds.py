"""Functions of SQLite that one call of may take for ever, replaced by ones that refuse too much.

SQLite notices a time limit only between two steps of a statement, and a call is one step. `instr`
compares each place of one text with all of another, so that two texts of millions of characters
take minutes; `printf` writes each of a billion blanks, and gives NULL when that gets too long.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from sanityd.errors import CheckError
from sanityd.sources.sql_calls import rename_calls, second_argument

if TYPE_CHECKING:
    from sqlglot import Token

#: The longest text or blob, in bytes, in a statement with SQL of a rule.
LONGEST = 4 * 1024 * 1024
#: The longest pattern of LIKE and GLOB, in bytes, which is compared with each place of a text.
LONGEST_PATTERN = 256

#: Functions → how many products of the lengths of their two texts, in bytes, one call may need.
_PAIRED = {
    "instr": 500_000_000,
    "replace": 500_000_000,
    "trim": 100_000_000,
    "ltrim": 100_000_000,
    "rtrim": 100_000_000,
    "unhex": 100_000_000,
    # It compares keys, of which there are far fewer than bytes.
    "json_patch": 10_000_000_000,
}
#: The most characters of a quoted text which is compared by SQLite's own function.
_SHORT = 100

#: One conversion of `printf`: its width, its precision, and its letter.
_CONVERSION = re.compile(r"%[-+ 0#!,]*(\*|\d+)?(?:\.(\*|-?\d*))?l*(.)?", re.DOTALL)
_WHOLE = re.compile(r"\s*[-+]?\d+")
#: The most characters that the widths and precisions of a format may ask for.
_WIDEST = 100_000


def add_bounded_functions(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Add the replacements; those of `printf` and `format` under the names of SQLite's own.

    The others are called only by the SQL that `bound_calls` returns, as Python's functions are
    slower, and can't be given text that isn't UTF-8. Returns a connection to no database, which
    they use: close it together with `connection`.
    """
    plain = sqlite3.connect(":memory:", check_same_thread=False)
    plain.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
    for name, budget in _PAIRED.items():
        function = partial(_bounded_pair, partial(_call, plain, name), budget)
        connection.create_function(f"sanityd_{name}", -1, function, deterministic=True)
    for name in ("printf", "format"):
        connection.create_function(
            name, -1, partial(_bounded_printf, partial(_call, plain, name)), deterministic=True
        )
    return plain


def too_big() -> CheckError:
    """Return the error of a statement that makes, or reads, a text that is too big."""
    return CheckError(
        "SQLite refused the statement: a text or blob is too big, or takes too long to compare",
        f"In a rule's SQL a text may have {LONGEST // 1024**2} MiB, `printf` may pad to"
        f" {_WIDEST:,} characters, and `instr`, `replace` and `trim` may not search a long text"
        " for another.",
    )


def bound_calls(sql: str) -> str:
    """Return the SQL with calls of the replacements, where both texts of a call may be long.

    A quoted, short text as the second one leaves SQLite's own function in place. SQL that can't be
    read is returned as it is.
    """
    return rename_calls(sql, "sqlite", _PAIRED.keys(), _has_long_second)


def _has_long_second(tokens: "Sequence[Token]", name: int) -> bool:
    """Return whether a call has a second argument that isn't a short text in quotes."""
    call = tokens[name + 1 :]
    second = second_argument(call)
    return second is not None and not _is_short_text(call[second : second + 2])


def _is_short_text(tokens: "Sequence[Token]") -> bool:
    """Return whether the first of two tokens is a short text, and the second ends the argument."""
    from sqlglot import TokenType

    if len(tokens) < 2 or tokens[1].token_type not in (TokenType.COMMA, TokenType.R_PAREN):
        return False
    return tokens[0].token_type is TokenType.STRING and len(tokens[0].text) <= _SHORT


def _call(connection: sqlite3.Connection, name: str, *arguments: Any) -> Any:
    """Return what SQLite's own function returns."""
    marks = ", ".join("?" * len(arguments))
    return connection.execute(f"SELECT {name}({marks})", arguments).fetchone()[0]


def _bounded_pair(function: Callable[..., Any], budget: int, *arguments: Any) -> Any:
    """Return what the function returns.

    Raises OverflowError, which SQLite reports as a text that is too big, where it may take seconds.
    """
    if len(arguments) > 1 and _size(arguments[0]) * _size(arguments[1]) > budget:
        raise OverflowError
    return function(*arguments)


def _bounded_printf(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the text, or NULL without a format. Raises OverflowError where it gets too long."""
    if not arguments or arguments[0] is None:
        return None
    for total in accumulate(_widths(str(arguments[0]), arguments[1:])):
        if total > _WIDEST:
            raise OverflowError
    text = function(*arguments)
    # SQLite gives NULL for a text that is too long, and for an empty one.
    if text is None and max(map(_size, arguments)) > _WIDEST:
        raise OverflowError
    return text


def _widths(template: str, arguments: Sequence[object]) -> Iterator[int]:
    """Yield the widths and precisions of a format; `*` takes one from the arguments."""
    rest = iter(arguments)
    for conversion in _CONVERSION.finditer(template):
        for width in conversion.group(1, 2):
            yield _whole(next(rest, 0) if width == "*" else width)
        if conversion[3] not in (None, "%", "n"):
            next(rest, None)


def _whole(value: object) -> int:
    """Return the size of a number as SQLite reads it: a text by its first digits."""
    digits = _WHOLE.match(str(value))
    return abs(int(digits[0])) if digits else 0


def _size(argument: object) -> int:
    """Return the bytes of a text or blob, and a few for a number."""
    if isinstance(argument, str):
        return len(argument.encode())
    return len(argument) if isinstance(argument, bytes) else 24
