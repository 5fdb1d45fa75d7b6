"""Freeze the clock in SQL: whatever reads the clock is replaced by a fixed time, for rule tests.

Works on the tokens of SQL that has passed the gate, so that strings, comments and quoted names are
not changed. SQL that reads the clock in a way that can't be replaced reliably is refused.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from sanityd.sources.sql_calls import second_argument
from sanityd.sources.sql_gate import GateRefusal

if TYPE_CHECKING:
    from sqlglot import Token

#: Words that read the clock, by dialect, with the type of their value. Most may be called, with a
#: number of digits or nothing.
_CLOCK_WORDS = {
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
#: The words that are functions only: without brackets they are the name of a column.
_FUNCTIONS_ONLY = frozenset(
    {
        "now",
        "transaction_timestamp",
        "statement_timestamp",
        "clock_timestamp",
        "sysdate",
        "curdate",
        "curtime",
        "today",
        "get_current_timestamp",
        "get_current_time",
        "unix_timestamp",
    }
)
#: How each dialect writes a time (in UTC, the zone of all sessions).
_LITERALS = {
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
#: Time functions of SQLite. They read the clock if an argument is `now`, or without arguments.
_SQLITE_FUNCTIONS = frozenset(
    {"date", "time", "datetime", "julianday", "unixepoch", "strftime", "timediff"}
)
#: Texts that PostgreSQL converts to the time of its clock, where a text becomes a time.
_POSTGRES_TEXTS = frozenset({"now", "today", "tomorrow", "yesterday"})
#: Functions that read the clock if they have less than two arguments.
_AGE_FUNCTIONS = ("age", "timeofday")


def freeze(sql: str, dialect: str, at: datetime | None) -> str:
    """Return the SQL with the time `at` wherever it reads the clock; unchanged if `at` is None.

    Raises GateRefusal for what can't be replaced.
    """
    if at is None:
        return sql
    pieces, end = [], 0
    for edit in _ClockReplacer(sql, dialect, at.astimezone(UTC)).edits():
        pieces += [sql[end : edit.start], edit.text]
        end = edit.end
    return "".join([*pieces, sql[end:]])


class _ClockEdit(NamedTuple):
    """Replacement of `sql[start:end]` by a text."""

    start: int
    end: int
    text: str


class _ClockReplacer:
    """Finds the parts of one SQL text that read the clock, and what to put in their place."""

    def __init__(self, sql: str, dialect: str, at: datetime) -> None:
        from sqlglot import tokenize

        self.sql = sql
        self.dialect = dialect
        self.at = at
        self.tokens: Sequence[Token] = tokenize(sql, read=dialect)
        self.clock_words = _CLOCK_WORDS.get(dialect, {})
        self.literals = _LITERALS.get(dialect, _LITERALS[""])
        #: The time as a text for SQLite's functions.
        self.sqlite_time = f"'{at:%Y-%m-%d %H:%M:%S}'"

    def edits(self) -> Iterator[_ClockEdit]:
        """Yield the edits in the order of the text. Raises GateRefusal."""
        from sqlglot import TokenType

        #: The functions whose brackets are open, innermost last.
        calls: list[str] = []
        for index, token in enumerate(self.tokens):
            if token.token_type is TokenType.L_PAREN:
                calls.append(self.tokens[index - 1].text.lower() if index else "")
            elif token.token_type is TokenType.R_PAREN:
                if calls:
                    calls.pop()
            elif token.token_type is TokenType.STRING:
                yield from self._edit_text(index, calls)
            elif not self._is_quoted(token) and not self._is_column(index):
                yield from self._edit_word(index)

    def _edit_text(self, index: int, calls: Sequence[str]) -> Iterator[_ClockEdit]:
        """Yield the edit of a quoted text that means the present."""
        token = self.tokens[index]
        if self.dialect == "sqlite" and calls and calls[-1] in _SQLITE_FUNCTIONS:
            yield from self._edit_sqlite_argument(token)
        elif self.dialect == "postgres" and self._is_postgres_time(index):
            self._refuse(
                token,
                f"`'{token.text.lower()}'` may mean the database's clock",
                "Write `now()` or `current_date`.",
            )

    def _is_postgres_time(self, index: int) -> bool:
        """Return whether PostgreSQL may convert a quoted text to the time of its clock."""
        if self.tokens[index].text.strip().lower() not in _POSTGRES_TEXTS:
            return False
        return not _is_cast_to_text(self.tokens[index + 1 : index + 3])

    def _edit_sqlite_argument(self, token: "Token") -> Iterator[_ClockEdit]:
        word = token.text.lower()
        if word in ("subsec", "subsecond"):
            self._refuse(
                token, f"`{token.text}` can't be distinguished from the clock", "Leave it out."
            )
        if word == "now":
            yield _ClockEdit(token.start, token.end + 1, self.sqlite_time)

    def _edit_word(self, index: int) -> Iterator[_ClockEdit]:
        """Yield the edit of a word or a function that reads the clock."""
        token = self.tokens[index]
        word = token.text.lower()
        is_called = self._is_called(index)
        if is_called and self._is_age(index):
            self._refuse(token, f"`{word}` reads the clock", "Write `age(now(), …)`.")
        elif is_called and self.dialect == "sqlite" and word in _SQLITE_FUNCTIONS:
            yield from self._edit_sqlite_call(index)
        elif word in self.clock_words and (is_called or word not in _FUNCTIONS_ONLY):
            yield from self._edit_clock_word(index, is_called=is_called)

    def _edit_sqlite_call(self, index: int) -> Iterator[_ClockEdit]:
        """Yield the edit of `date()` and `strftime('%s')`, which mean the present."""
        rest = self.tokens[index + 1 :]
        close = _closing_bracket(rest)
        if close is None:
            return
        arguments = self.sql[rest[0].end + 1 : close.start].strip()
        if arguments == "":
            yield _ClockEdit(close.start, close.start, self.sqlite_time)
        elif self.tokens[index].text.lower() == "strftime" and second_argument(rest) is None:
            yield _ClockEdit(close.start, close.start, f", {self.sqlite_time}")

    def _edit_clock_word(self, index: int, *, is_called: bool) -> Iterator[_ClockEdit]:
        token = self.tokens[index]
        kind = self.clock_words[token.text.lower()]
        close = _closing_bracket(self.tokens[index + 1 :]) if is_called else None
        if kind == "epoch":
            # `unix_timestamp` with an argument is not about the present.
            bracket = self.tokens[index + 1]
            if close is None or self.sql[bracket.end + 1 : close.start].strip() != "":
                return
        start = token.start
        if index > 1 and self.tokens[index - 1].text == ".":
            # The schema of the function: `pg_catalog.now()`.
            start = self.tokens[index - 2].start
        text = self.literals[kind].format(t=self.at, seconds=int(self.at.timestamp()))
        yield _ClockEdit(start, (close or token).end + 1, text)

    def _is_quoted(self, token: "Token") -> bool:
        return self.sql[token.start] in '"`['

    def _is_called(self, index: int) -> bool:
        from sqlglot import TokenType

        following = self.tokens[index + 1 : index + 2]
        return bool(following) and following[0].token_type is TokenType.L_PAREN

    def _is_age(self, index: int) -> bool:
        """Return whether a function is one of `_AGE_FUNCTIONS`, with less than two arguments."""
        if self.dialect not in ("postgres", "duckdb"):
            return False
        if self.tokens[index].text.lower() not in _AGE_FUNCTIONS:
            return False
        return second_argument(self.tokens[index + 1 :]) is None

    def _is_column(self, index: int) -> bool:
        """Return whether a word follows a dot, so that it is the name of a column.

        The functions of PostgreSQL, too, may follow a dot: that of their schema.
        """
        from sqlglot import TokenType

        if index == 0 or self.tokens[index - 1].token_type is not TokenType.DOT:
            return False
        return self.tokens[index - 2].text.lower() != "pg_catalog"

    def _refuse(self, token: "Token", message: str, advice: str) -> NoReturn:
        before = self.sql[: token.start]
        line, column = before.count("\n") + 1, token.start - before.rfind("\n")
        message = f"{message}, which stands still in a test"
        raise GateRefusal(message, advice, line, column, token.end - token.start + 1)


def _is_cast_to_text(following: Sequence["Token"]) -> bool:
    """Return whether the tokens after a quoted text are `::text` or `::varchar`."""
    words = [token.text.lower() for token in following]
    return words in (["::", "text"], ["::", "varchar"])


def _closing_bracket(tokens: Sequence["Token"]) -> "Token | None":
    """Return the bracket that closes the first token, which opens one; None without one."""
    from sqlglot import TokenType

    depth = 0
    for token in tokens:
        if token.token_type is TokenType.L_PAREN:
            depth += 1
        elif token.token_type is TokenType.R_PAREN:
            depth -= 1
        if depth == 0:
            return token
    return None
