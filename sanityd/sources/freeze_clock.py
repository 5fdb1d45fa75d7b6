"""SQL in which the clock stands: what reads it gets a time put in its place. For rule tests, with their own present.

Works on the words of SQL that has passed the gate, so that strings, comments and quoted names stay what they are. What
reads the clock in a way that can't be replaced for sure is refused.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

from sanityd.sources.sql_gate import GateRefusal

if TYPE_CHECKING:
    from sqlglot import Token

#: Words that read the clock, by dialect, and what they give. Most may be called, with a number of digits or nothing.
_READS = {
    "sqlite": {"current_timestamp": "instant", "current_date": "date", "current_time": "time"},
    "postgres": {
        **dict.fromkeys(
            ("now", "transaction_timestamp", "statement_timestamp", "clock_timestamp"), "instant"
        ),
        "current_timestamp": "instant",
        "localtimestamp": "local",
        "current_date": "date",
        "current_time": "timetz",
        "localtime": "time",
    },
    "mysql": {
        **dict.fromkeys(
            ("now", "current_timestamp", "localtime", "localtimestamp", "sysdate", "utc_timestamp"),
            "local",
        ),
        **dict.fromkeys(("curdate", "current_date", "utc_date"), "date"),
        **dict.fromkeys(("curtime", "current_time", "utc_time"), "time"),
        "unix_timestamp": "epoch",
    },
    "duckdb": {
        **dict.fromkeys(
            ("now", "current_timestamp", "get_current_timestamp", "transaction_timestamp"),
            "instant",
        ),
        **dict.fromkeys(("localtimestamp", "current_localtimestamp"), "local"),
        **dict.fromkeys(("today", "current_date"), "date"),
        **dict.fromkeys(
            ("current_time", "get_current_time", "localtime", "current_localtime"), "time"
        ),
    },
}
#: Those that are functions only: without brackets they are the name of a column.
_CALLED = frozenset(
    {
        "now",
        "transaction_timestamp",
        "statement_timestamp",
        "clock_timestamp",
        "sysdate",
        "curdate",
        "curtime",
        "today",
    }
    | {"get_current_timestamp", "get_current_time", "unix_timestamp"}
)
#: How each dialect writes a time (UTC, as the sessions are).
_FORMS = {
    "sqlite": {
        "instant": "'{t:%Y-%m-%d %H:%M:%S}'",
        "date": "'{t:%Y-%m-%d}'",
        "time": "'{t:%H:%M:%S}'",
    },
    "": {
        "instant": "(TIMESTAMPTZ '{t:%Y-%m-%d %H:%M:%S.%f}+00')",
        "local": "(TIMESTAMP '{t:%Y-%m-%d %H:%M:%S.%f}')",
        "date": "(DATE '{t:%Y-%m-%d}')",
        "time": "(TIME '{t:%H:%M:%S}')",
        "timetz": "(TIMETZ '{t:%H:%M:%S}+00')",
        "epoch": "({seconds})",
    },
}
#: SQLite's functions of time; `now` among their arguments, or none at all, is the clock.
_OF_SQLITE = frozenset(
    {"date", "time", "datetime", "julianday", "unixepoch", "strftime", "timediff"}
)
#: Words that PostgreSQL reads as times of its clock, where a text becomes a time.
_INPUTS = frozenset({"now", "today", "tomorrow", "yesterday"})
_AGE = ("age", "timeofday")


def still(sql: str, dialect: str, at: datetime | None) -> str:
    """The SQL with the time `at` wherever it reads the clock; as it is where there is no such time.

    Raises GateRefusal for what can't be replaced.
    """
    if at is None:
        return sql
    from sqlglot import tokenize

    pieces, end = [], 0
    for start, after, text in _edits(sql, tokenize(sql, read=dialect), dialect, at.astimezone(UTC)):
        pieces += [sql[end:start], text]
        end = after
    return "".join([*pieces, sql[end:]])


def _edits(
    sql: str, tokens: Sequence["Token"], dialect: str, at: datetime
) -> Iterator[tuple[int, int, str]]:
    """Which parts of the SQL become what, in order."""
    from sqlglot import TokenType

    words = _READS.get(dialect, {})
    forms = _FORMS.get(dialect, _FORMS[""])
    calls: list[str] = []
    for place, token in enumerate(tokens):
        word = token.text.lower()
        called = place + 1 < len(tokens) and tokens[place + 1].token_type is TokenType.L_PAREN
        if token.token_type is TokenType.L_PAREN:
            calls.append(tokens[place - 1].text.lower() if place else "")
        elif token.token_type is TokenType.R_PAREN and calls:
            calls.pop()
        elif token.token_type is TokenType.STRING:
            if dialect == "sqlite" and calls and calls[-1] in _OF_SQLITE:
                yield from _in_sqlite(sql, token, at)
            elif (
                dialect == "postgres"
                and word.strip() in _INPUTS
                and not _is_text(tokens[place + 1 : place + 3])
            ):
                _refuse(
                    sql,
                    token,
                    f"`'{word}'` may mean the database's clock",
                    "Write `now()` or `current_date`.",
                )
        elif sql[token.start] in '"`[' or _is_column(tokens, place):
            continue
        elif (
            called
            and dialect in ("postgres", "duckdb")
            and word in _AGE
            and not _has_two(tokens[place + 1 :])
        ):
            _refuse(sql, token, f"`{word}` reads the clock", "Write `age(now(), …)`.")
        elif called and dialect == "sqlite" and word in _OF_SQLITE:
            yield from _without_time(sql, tokens[place + 1 :], word, at)
        elif word in words and (called or word not in _CALLED):
            close = _close(tokens[place + 1 :]) if called else None
            # With arguments it is not about the present.
            if words[word] != "epoch" or (
                close and sql[tokens[place + 1].end + 1 : close.start].strip() == ""
            ):
                start = (
                    tokens[place - 2].start
                    if place > 1 and tokens[place - 1].text == "."
                    else token.start
                )
                yield (
                    start,
                    (close or token).end + 1,
                    forms[words[word]].format(t=at, seconds=int(at.timestamp())),
                )


def _in_sqlite(sql: str, token: "Token", at: datetime) -> Iterator[tuple[int, int, str]]:
    word = token.text.lower()
    if word in ("subsec", "subsecond"):
        _refuse(sql, token, f"`{token.text}` can't be told apart from the clock", "Leave it out.")
    if word == "now":
        yield token.start, token.end + 1, f"'{at:%Y-%m-%d %H:%M:%S}'"


def _without_time(
    sql: str, rest: Sequence["Token"], word: str, at: datetime
) -> Iterator[tuple[int, int, str]]:
    """`date()` and `strftime('%s')` mean the present."""
    close = _close(rest)
    if close is None:
        return
    inner = sql[rest[0].end + 1 : close.start].strip()
    time = f"'{at:%Y-%m-%d %H:%M:%S}'"
    if inner == "":
        yield close.start, close.start, time
    elif word == "strftime" and not _has_two(rest):
        yield close.start, close.start, f", {time}"


def _is_column(tokens: Sequence["Token"], place: int) -> bool:
    """Whether a dot before it makes it a column's name; PostgreSQL's own functions may have their schema's."""
    from sqlglot import TokenType

    return (
        place > 0
        and tokens[place - 1].token_type is TokenType.DOT
        and tokens[place - 2].text.lower() != "pg_catalog"
    )


def _is_text(following: Sequence["Token"]) -> bool:
    """Whether a cast says that a string is nothing but text."""
    words = [token.text.lower() for token in following]
    return words[:1] == ["::"] and words[1:] in (["text"], ["varchar"])


def _close(rest: Sequence["Token"]) -> "Token | None":
    """The bracket that closes the first token, which opens one."""
    from sqlglot import TokenType

    depth = 0
    for token in rest:
        depth += (token.token_type is TokenType.L_PAREN) - (token.token_type is TokenType.R_PAREN)
        if depth == 0:
            return token
    return None


def _has_two(rest: Sequence["Token"]) -> bool:
    """Whether a call has more than one argument."""
    from sqlglot import TokenType

    depth = 0
    for token in rest:
        depth += (token.token_type is TokenType.L_PAREN) - (token.token_type is TokenType.R_PAREN)
        if depth == 0:
            return False
        if depth == 1 and token.token_type is TokenType.COMMA:
            return True
    return False


def _refuse(sql: str, token: "Token", message: str, advice: str) -> NoReturn:
    before = sql[: token.start]
    line, column = before.count("\n") + 1, token.start - before.rfind("\n")
    message = f"{message}, which stands still in a test"
    raise GateRefusal(message, advice, line, column, token.end - token.start + 1)
