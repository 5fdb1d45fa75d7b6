"""The rows of an example → typed tables: what the rule asks for, what the rows have, and what they
are meant to be.

Every value that can't be what its column holds is a problem at its place. Touches no database.
"""

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from uuid import UUID
from zoneinfo import ZoneInfo

from sanityd.authoring.ruletests import sql_columns
from sanityd.authoring.ruletests.infer_columns import Drawn, draw
from sanityd.checks.invariant import Invariant, TableName
from sanityd.errors import Problem
from sanityd.model import Value
from sanityd.rules import time_values
from sanityd.rules.cases import Case, Scalar
from sanityd.rules.rule import Rule
from sanityd.rules.yaml.rules_document import Document
from sanityd.sources.catalog import Family, TableInfo

#: How alike two names of columns are when one is a slip of the pen.
_ALIKE = 0.8
_TIMES = (Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ)
#: What the catalog of a real table says, where it is asked.
Catalog = Mapping[TableName, TableInfo]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table of an example, with rows that have a value (or NULL) for each column."""

    table: TableName
    columns: Mapping[str, Family]
    rows: tuple[Mapping[str, Value], ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A case that can be played: its rule, tables, and the zones of their sources."""

    case: Case
    invariant: Invariant
    sheets: tuple[Sheet, ...]
    zones: Mapping[str, ZoneInfo]
    #: sqlglot's names of the sources' own dialects, where they are known.
    dialects: Mapping[str, str]

    @property
    def sources(self) -> set[str]:
        """The sources that it takes."""
        own = {self.invariant.subject.source, self.invariant.elsewhere}
        return {sheet.table.source for sheet in self.sheets} | {name for name in own if name}

    def with_rows(self, rows: Mapping[TableName, Collection[Mapping[str, Value]]]) -> "Example":
        """The same with other rows in some tables."""
        sheets = (replace(one, rows=tuple(rows.get(one.table, one.rows))) for one in self.sheets)
        return replace(self, sheets=tuple(sheets))


class Maker:
    """Makes examples of cases. `problems` fills on the way.

    Parameters: `document` is where the cases stand; `zones` and `dialects` are those of the
    sources; `catalog` is what the real databases say, where they were asked.
    """

    def __init__(
        self,
        document: Document,
        zones: Mapping[str, ZoneInfo],
        dialects: Mapping[str, str],
        catalog: Catalog,
    ) -> None:
        self.problems: list[Problem] = []
        self._document = document
        self._zones = zones
        self._dialects = dialects
        self._catalog = catalog

    def example(self, case: Case, rule: Rule) -> Example:
        """The example of a case."""
        inferred = {table: self._inferred(case, table, frozenset()) for table in case.given}
        key = self._key(case, rule, inferred)
        subject = replace(rule.invariant.subject, key=key)
        # Keys are compared with those of the case, so they are in clear, and all of them are told.
        invariant = replace(rule.invariant, subject=subject, redaction=None, cap=10_000)
        drawn = draw(invariant, inferred, case.now)
        asked = _asked(invariant, drawn, self._dialects, inferred)
        if case.violates is True and rule.invariant.check.quotes_rows:
            advice = "write the keys of the rows that it must find, as in `[2]`"
            self._say((*case.place, "violates"), "`true` doesn't say which rows", advice)
        tables = list(dict.fromkeys([*case.given, *asked]))
        sheets = tuple(
            self._sheet(case, table, asked.get(table, {}), drawn, invariant) for table in tables
        )
        return Example(case, invariant, sheets, self._zones, self._dialects)

    def _key(
        self, case: Case, rule: Rule, inferred: Mapping[TableName, Mapping[str, Family]]
    ) -> tuple[str, ...]:
        """What identifies a row: as the rule says, as the database says, or as the example lets us
        think."""
        subject = rule.invariant.subject
        if subject.key or subject.table is None or not rule.invariant.check.needs_key:
            return subject.key
        if info := self._catalog.get(subject.table):
            return info.key
        columns = inferred.get(subject.table, {})
        keys = case.violates if isinstance(case.violates, Sequence) else ()
        named = [
            tuple(name for name in key if name in columns) for key in keys if isinstance(key, dict)
        ]
        if named and named[0]:
            return named[0]
        if "id" in columns or not columns:
            return ("id",)
        if case.violates and len(columns) > 1:
            message = f"it can't be told which columns identify a row of `{subject.table}`"
            advice = (
                f"say `key:` in the rule, or write `{{{next(iter(columns))}: …}}` in `violates`"
            )
            self._say((*case.place, "violates"), message, advice, key=True)
        return tuple(columns)

    def _sheet(
        self,
        case: Case,
        table: TableName,
        asked: Mapping[str, Family | None],
        drawn: Drawn,
        invariant: Invariant,
    ) -> Sheet:
        times = {column for where, column in drawn.times if where == table}
        times |= {column for column, family in asked.items() if family is Family.TIMESTAMP}
        columns: dict[str, Family] = dict(self._inferred(case, table, times))
        for column, family in asked.items():
            guess = self._real(table, column) or (Family.TIMESTAMP if column in times else family)
            columns.setdefault(
                column, guess or _counterpart(invariant, table, column, self, case) or Family.TEXT
            )
        # Columns that are NULL in every row, and that the rule doesn't name.
        columns |= {
            column: Family.TEXT
            for row in case.given.get(table, ())
            for column in row
            if column not in columns
        }
        self._look_for_slips(case, table, asked)
        # There is no table without a column.
        columns = columns or {"sanityd_nothing": Family.INTEGER}
        rows = [
            self._row(case, table, number, columns)
            for number in range(len(case.given.get(table, ())))
        ]
        return Sheet(table, columns, tuple(rows))

    def _inferred(self, case: Case, table: TableName, times: Collection[str]) -> dict[str, Family]:
        """The types of the columns that rows have a value of, or that the case or the database
        tells."""
        rows, said = case.given.get(table, ()), case.types.get(table, {})
        columns = dict.fromkeys([*(column for row in rows for column in row), *said])
        types: dict[str, Family] = {}
        for column in columns:
            values = [row[column] for row in rows if row.get(column) is not None]
            family = _family(column, values, is_time=column in times)
            real = self._real(table, column)
            # Some keep times as text; those of an example are still times.
            if real is not None and not (real is Family.TEXT and family in _TIMES):
                family = real
            if column in said:
                family = Family(said[column])
            if family is not None:
                types[column] = family
        return types

    def _real(self, table: TableName, column: str) -> Family | None:
        """The type of a column in the real table, where that was asked and examples can have it."""
        columns = self._catalog[table].columns if table in self._catalog else {}
        family = columns[column].family if column in columns else Family.OTHER
        return None if family in (Family.OTHER, Family.ENUM) else family

    def family_of(self, case: Case, table: TableName, column: str) -> Family | None:
        """The type of a column, if its values tell."""
        return self._inferred(case, table, ()).get(column)

    def _row(
        self, case: Case, table: TableName, number: int, columns: Mapping[str, Family]
    ) -> Mapping[str, Value]:
        row = case.given[table][number]
        now = case.now.astimezone(self._zones.get(table.source, UTC))
        typed: dict[str, Value] = {}
        for column, family in columns.items():
            value = row.get(column)
            try:
                typed[column] = None if value is None else stored(value, family, now)
            except ValueError:
                typed[column] = None
                place = (*case.place, "given", case.named[table], number, column)
                advice = (
                    time_values.ADVICE
                    if family in _TIMES
                    else "write another value, or another type in `types`"
                )
                self._say(place, f"`{value}` is no {_WORDS.get(family, family.value)}", advice)
        return typed

    def _look_for_slips(self, case: Case, table: TableName, asked: Mapping[str, object]) -> None:
        """Columns that the rule doesn't ask for, in rows that lack one of nearly the same name."""
        rows = case.given.get(table, ())
        known = self._catalog[table].columns if table in self._catalog else None
        everywhere = {column for row in rows for column in row}
        for number, row in enumerate(rows):
            place = (*case.place, "given", case.named[table], number)
            for column in row:
                if known is not None and column not in known:
                    near = difflib.get_close_matches(column, known, n=1)
                    advice = f"did you mean `{near[0]}`?" if near else f"it has {', '.join(known)}"
                    self._say(
                        (*place, column),
                        f"table `{table}` has no column `{column}`",
                        advice,
                        key=True,
                    )
                elif column not in asked and known is None:
                    missing = [other for other in (*asked, *everywhere) if other not in row]
                    # Two columns that rows of the table have beside each other are two.
                    apart = [
                        other
                        for other in missing
                        if not any(other in one and column in one for one in rows)
                    ]
                    if near := difflib.get_close_matches(column, apart, n=1, cutoff=_ALIKE):
                        message = (
                            f"the rule asks for no column `{column}`, and here is no `{near[0]}`"
                        )
                        self._say((*place, column), message, f"did you mean `{near[0]}`?", key=True)

    def _say(
        self, place: tuple[str | int, ...], message: str, advice: str, *, key: bool = False
    ) -> None:
        self.problems.append(self._document.problem(place, message, advice, key=key))


_WORDS = {
    Family.INTEGER: "whole number",
    **dict.fromkeys((Family.TIMESTAMP, Family.TIMESTAMPTZ), "time"),
}


def stored(value: Scalar, family: Family, now: datetime) -> Value:
    """A value of the example as one of its column. Raises ValueError when it can't be.

    Parameters: `now` is the present, in the zone of the table's source.
    """
    return _STORED[family](value, now) if family in _STORED else _text(value)


def _boolean(value: Scalar, _now: datetime) -> Value:
    if not isinstance(value, bool) and value not in (0, 1):
        raise ValueError(value)
    return bool(value)


def _integer(value: Scalar, _now: datetime) -> Value:
    number = int(value or 0)
    if (isinstance(value, float) and value != number) or not -_LONG <= number < _LONG:
        raise ValueError(value)
    return number


def _decimal(value: Scalar, _now: datetime) -> Value:
    try:
        return Decimal(str(int(value) if isinstance(value, bool) else value))
    except InvalidOperation:
        raise ValueError(value) from None


def _timestamp(value: Scalar, now: datetime) -> Value:
    return time_values.moment(value, now).astimezone(now.tzinfo).replace(tzinfo=None)


#: How many different numbers there are on one side of zero in a whole number of a database.
_LONG = 2**63
_STORED: Mapping[Family, Callable[[Scalar, datetime], Value]] = {
    Family.BOOLEAN: _boolean,
    Family.INTEGER: _integer,
    Family.NUMBER: _decimal,
    Family.DATE: lambda value, now: time_values.moment(value, now).date(),
    Family.TIMESTAMP: _timestamp,
    Family.TIMESTAMPTZ: time_values.moment,
    Family.BYTES: lambda value, _: _text(value).encode(),
    Family.UUID: lambda value, _: str(UUID(_text(value))),
}


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _family(column: str, values: Sequence[Scalar], *, is_time: bool) -> Family | None:
    """What the values of a column have in common; None where there is none."""
    kinds = {type(value) for value in values}
    if not kinds:
        return None
    if kinds == {bool}:
        return Family.BOOLEAN
    if kinds <= {int, bool}:
        return (
            Family.INTEGER
            if all(-_LONG <= int(value or 0) < _LONG for value in values)
            else Family.NUMBER
        )
    if kinds <= {int, float, bool}:
        return Family.NUMBER
    if kinds != {str}:
        return Family.TEXT
    full = [
        value for value in values if time_values.is_stamp(value) or time_values.is_distance(value)
    ]
    times = [value for value in values if value in full or time_values.is_clock(value)]
    # `11:00` alone may be opening hours, which are text.
    if is_time or (len(times) == len(values) and (full or column.endswith("_at"))):
        if all(time_values.is_date(value) for value in values):
            return Family.DATE
        return Family.TIMESTAMPTZ if any(map(time_values.has_zone, values)) else Family.TIMESTAMP
    return Family.TEXT


def _asked(
    invariant: Invariant,
    drawn: Drawn,
    dialects: Mapping[str, str],
    inferred: Mapping[TableName, Mapping[str, Family]],
) -> dict[TableName, dict[str, Family | None]]:
    """All columns that the rule names, outside of SQL and in it. Types are given where only SQL
    tells."""
    asked: dict[TableName, dict[str, Family | None]] = {
        table: dict.fromkeys(columns) for table, columns in drawn.columns.items()
    }
    if invariant.subject.table is not None and invariant.check.needs_key:
        own = asked.setdefault(invariant.subject.table, {})
        asked[invariant.subject.table] = {**dict.fromkeys(invariant.subject.key), **own}
    unsure: dict[str, list[sql_columns.Named]] = {}
    for one in _named_in_sql(invariant, dialects):
        columns = asked.setdefault(one.table, {})
        if one.column and one.sure:
            columns[one.column] = columns.get(one.column) or one.family
        elif one.column:
            unsure.setdefault(one.column, []).append(one)
    for name, candidates in unsure.items():
        # The SQL names it without its table: it is of those that have it, else of the first.
        having = [
            one
            for one in candidates
            if name in asked[one.table] or name in inferred.get(one.table, {})
        ]
        for one in having or candidates[:1]:
            asked[one.table][name] = asked[one.table].get(name) or one.family
    return asked


def _named_in_sql(invariant: Invariant, dialects: Mapping[str, str]) -> Iterator[sql_columns.Named]:
    subject, check = invariant.subject, invariant.check
    dialect = dialects.get(subject.source, "")
    if subject.table is not None and subject.where:
        yield from sql_columns.of_condition(subject.where, dialect, subject.table)
    others = [TableName.parse(text, subject.sources, subject.source) for text in check.tables()]
    about = others or ([subject.table] if subject.table else [])
    for sql in check.sql():
        for table in about:
            yield from sql_columns.of_condition(sql, dialects.get(table.source, ""), table)
    if query := check.query_sql():
        yield from sql_columns.of_query(query, dialect, subject.source)
    if (there := check.query_there()) and there.query and there.source:
        yield from sql_columns.of_query(there.query, dialects.get(there.source, ""), there.source)


def _counterpart(
    invariant: Invariant, table: TableName, column: str, maker: Maker, case: Case
) -> Family | None:
    """The type of the column that it is compared with."""
    subject, check = invariant.subject, invariant.check
    for text, on in check.compared_columns():
        if text is None:
            continue
        other = TableName.parse(text, subject.sources, subject.source)
        for mine, theirs in on.items() if subject.table else ():
            if (other, theirs) == (table, column):
                return maker.family_of(case, subject.table, mine)  # type: ignore[arg-type]  # as the line above says
            if (subject.table, mine) == (table, column):
                return maker.family_of(case, other, theirs)
    return None
