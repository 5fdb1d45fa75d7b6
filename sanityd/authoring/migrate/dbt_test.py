"""One generic test of dbt as its mappings see it: a table, perhaps a column, and arguments that are asked for by name.

An argument that no mapping asked for has no counterpart, and is never passed over in silence.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sanityd.authoring.migrate import spans
from sanityd.authoring.migrate.draft import Draft, Unmappable, quoted
from sanityd.authoring.migrate.spans import Number

_IDENTIFIER = re.compile(r'[A-Za-z_][A-Za-z0-9_$]*|"[^"]+"|`[^`]+`')
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T].*)?")
_TEXT = re.compile(r"'((?:[^']|'')*)'")
#: dbt's parts of a date as our units. Months are as long as the longest ones.
_PARTS = {"second": "s", "minute": "m", "hour": "h", "day": "d", "week": "w"}
_LONG_PARTS = {"month": 31, "quarter": 92, "year": 366}


@dataclass(frozen=True, slots=True)
class Relation:
    """A table of dbt's, as rules name it (`app.shop.people`) and as SQL does (`shop.people`)."""

    name: str
    sql: str

    @property
    def noun(self) -> str:
        """The table alone, for the promise."""
        return self.name.rpartition(".")[2]


@dataclass(slots=True)
class Test:
    """A generic test. `relation` reads `ref('x')` and `source('a', 'b')`; `where` is the one of its `config`."""

    table: Relation
    column: str | None
    arguments: Mapping[str, Any]
    relation: Callable[[str], Relation]
    where: str | None = None
    taken: set[str] = field(default_factory=set)

    def take(self, *names: str, default: Any = None) -> Any:
        """The value of an argument, by any of its names."""
        self.taken.update(names)
        return next(
            (self.arguments[name] for name in names if self.arguments.get(name) is not None),
            default,
        )

    def need(self, *names: str) -> Any:
        """The value of an argument that must be there."""
        if (value := self.take(*names)) is None:
            raise Unmappable(f"the argument `{names[0]}` is missing")
        return value

    def number(self, *names: str) -> Number | None:
        """A number; None when the argument isn't there."""
        value = self.take(*names)
        return None if value is None else spans.number(value)

    def other(self, *names: str) -> Relation:
        """The table that an argument points at."""
        return self.relation(str(self.need(*names)))

    def one_column(self) -> str:
        """The column that the test is about."""
        self.taken.add("column_name")
        if self.column is None:
            raise Unmappable("it names no column")
        return self.column

    def name_of(self, *names: str) -> str:
        """The column that an argument names."""
        return column(str(self.need(*names)))

    def columns(self, *names: str) -> list[str]:
        """The columns that an argument lists; none when it isn't there."""
        value = self.take(*names, default=[])
        parts = value if isinstance(value, list) else str(value).split(",")
        return [column(str(part).strip()) for part in parts]

    def row_condition(self) -> dict[str, str]:
        """What narrows the rows, as a key of the rule."""
        condition = self.take("row_condition")
        return {"where": str(condition)} if condition else {}

    def rows(self) -> str:
        """The table in SQL, narrowed by `where`."""
        return (
            f"(select * from {self.table.sql} where {self.where}) as judged"
            if self.where
            else self.table.sql
        )

    def of(self, names: str | list[str], says: str) -> str:
        """The promise: `email of people is unique`."""
        return f"{names if isinstance(names, str) else ' and '.join(names)} of {self.table.noun} {says}"

    def leftovers(self) -> list[str]:
        """The arguments that nobody asked for."""
        return [name for name in self.arguments if name not in self.taken]


Mapped = list[Draft]


def column(text: str) -> str:
    """The name of a column. Raises Unmappable for an expression."""
    if not _IDENTIFIER.fullmatch(text):
        raise Unmappable(f"`{text}` is an expression, not a column")
    return text.strip('"`')


def bounds(
    test: Test, low: str, high: str, *, strictly: bool
) -> tuple[dict[str, Any] | None, list[str]]:
    """The bounds of a column: as a range, or as conditions in SQL where one of them is an expression."""
    found = {name: test.take(name) for name in (low, high)}
    if all(value is None for value in found.values()):
        raise Unmappable("it has no bound")
    words = {
        low: ("above", ">") if strictly else ("min", ">="),
        high: ("below", "<") if strictly else ("max", "<="),
    }
    limits = {words[name][0]: bound(value) for name, value in found.items() if value is not None}
    if not any(isinstance(value, _Expression) for value in limits.values()):
        return limits, []
    given = {name: value for name, value in found.items() if value is not None}
    return None, [
        f"{quoted(test.one_column())} {words[name][1]} {value}" for name, value in given.items()
    ]


class _Expression(str):
    """SQL that is more than a value."""

    __slots__ = ()


def bound(value: Any) -> Number | str:
    """A bound as dbt pastes it into SQL: a number, a text in quotes, or an expression."""
    if isinstance(value, int | float):
        return value
    if found := _TEXT.fullmatch(str(value).strip()):
        return found[1].replace("''", "'")
    if _DATE.fullmatch(str(value).strip()):
        raise Unmappable(
            f"`{value}` stands in SQL without quotes, where it is a subtraction: write \"'{value}'\""
        )
    try:
        return spans.number(value)
    except Unmappable:
        return _Expression(value)


def age(test: Test, part: str, count: str) -> tuple[str, str]:
    """A length of time of dbt's as ours, and a note where it is not exactly the same."""
    number, word = test.need(count), str(test.need(part)).lower().rstrip("s")
    return length(number, word)


def length(number: Any, word: str) -> tuple[str, str]:
    """So many days, hours, … as a duration, and a note where it is not exactly the same."""
    whole = spans.number(number)
    if not isinstance(whole, int) or whole < 1:
        raise Unmappable(f"`{number}` is no length of time")
    if word in _PARTS:
        return f"{whole}{_PARTS[word]}", ""
    if word in _LONG_PARTS:
        days = whole * _LONG_PARTS[word]
        return f"{days}d", f"{whole} {word}{'s' * (whole != 1)} counted as {days} days."
    raise Unmappable(f"`{word}` is no part of a date")


def values(test: Test, name: str, quote: str) -> list[Any]:
    """A list of values. Unquoted ones are SQL there: numbers and booleans can be taken over, expressions can't."""
    listed = test.need(name)
    quote_them = test.take(quote, default=True)
    if not isinstance(listed, list) or any(
        isinstance(value, list | dict) or value is None for value in listed
    ):
        raise Unmappable(f"`{name}` is no list of values")
    return [
        value if quote_them or not isinstance(value, str) else _unquoted(value) for value in listed
    ]


def _unquoted(value: str) -> Any:
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    found = bound(value)
    if isinstance(found, _Expression):
        raise Unmappable(f"`{value}` is an expression, not a value")
    return found


def rows_in(low: Number | None, high: Number | None, *, strictly: bool = False) -> spans.Span:
    """The numbers from `low` to `high`."""
    if low is None and high is None:
        raise Unmappable("it has no bound")
    return spans.Span(low, high, strictly, strictly)
