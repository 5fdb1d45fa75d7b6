"""The rows that a rule is about, in one snapshot, as SQL expressions.

Checks ask a Scope for columns, never a database.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, column, literal, null, or_, true
from sqlalchemy.types import NullType

from sanityd.checks.expressions import is_expression
from sanityd.checks.invariant import Age, Subject, TableName
from sanityd.errors import CheckError
from sanityd.model import Value
from sanityd.sources.base import Snapshot
from sanityd.sources.catalog import ColumnInfo, Family, TableInfo
from sanityd.sources.missing_table import nearest

#: Families whose values are points in time, or numbers that mean one.
_INSTANTS = frozenset(
    {Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ, Family.INTEGER, Family.NUMBER}
)
#: What a database calls the type of a date and time, where that isn't `timestamp`.
_INSTANT_TYPES = {"mysql": "datetime"}
#: A larger number since 1970 is one of microseconds; so many seconds last for 3,000 years.
_LARGEST_SECONDS = 100_000_000_000


class Scope:
    """One table in one snapshot, narrowed to the rows that a rule is about.

    Parameters: `snapshot` is asked for the catalog and for its SQL dialect; `subject` says which
    rows; `query` is a SELECT in place of a table; `newer` narrows the rows to those whose column
    has that value, a higher one, or NULL; `sample` is a part of the table's rows that stands for
    all; `faults` collects what is wrong with the names in the rule, which otherwise raises
    CheckError at once; `there` says that it is the other table of a rule.
    Raises CheckError when the table doesn't exist.
    """

    def __init__(  # noqa: PLR0913 (most rules need only two)
        self,
        snapshot: Snapshot,
        subject: Subject,
        *,
        alias: str | None = None,
        query: str | None = None,
        newer: tuple[str, Value] | None = None,
        sample: FromClause | None = None,
        faults: list[CheckError] | None = None,
        there: bool = False,
    ) -> None:
        self.snapshot = snapshot
        self.subject = subject
        self.newer = newer
        self.faults = faults
        self.there = there
        #: Whether the table isn't there, so that nothing can be said of its columns.
        self.absent = False
        self.table: FromClause
        self.info: TableInfo
        if query is not None:
            self.table = snapshot.query(query)
            names = self.table.c.keys()
            self.info = TableInfo(
                "", None, {name: ColumnInfo(name, "", Family.OTHER) for name in names}
            )
            return
        # A rule that is a query has no table: its scope has the snapshot, and no columns.
        name = subject.table
        self.info = self._look_up(name) if name else TableInfo("", None, {})
        clause = self.info.clause if sample is None else sample
        self.table = clause.alias(alias) if alias else clause

    @property
    def name(self) -> str:
        """The table's name, as the rule says it."""
        return str(self.subject.table or self.subject.source)

    @property
    def now(self) -> datetime:
        """The database's clock at the snapshot."""
        return self.snapshot.now

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that identify a row. Raises CheckError when there are none."""
        key = self.subject.key or self.info.key
        if not key and not self.absent:
            self.refuse(
                f"table `{self.name}` has no primary key and no unique index without NULLs",
                "Say which columns identify a row: `key: [column, …]`; all of them, "
                "if rows can be identical.",
                self.name,
            )
        return key

    def is_expression(self, name: str) -> bool:
        """Whether a name is a SQL expression over the columns, and not one of them."""
        return name not in self.info.columns and not self.absent and is_expression(name)

    def column_info(self, name: str) -> ColumnInfo:
        """What the catalog says about a column, or the database about an expression.

        Raises CheckError, with a suggestion, when there is no such column.
        """
        if self.is_expression(name):
            return self.snapshot.value_type(self.column(name), self.table)
        try:
            return self.info.columns[name]
        except KeyError:
            if not self.absent:
                what = (
                    f"table `{self.name}`"
                    if self.info.name
                    else f"the query in `{self.subject.source}`"
                )
                self.refuse(
                    f"{what} has no column `{name}`", instead(name, self.info.columns), name
                )
            return ColumnInfo(name, "", Family.OTHER)

    def refuse(self, message: str, hint: str, word: str) -> None:
        """Raise CheckError, or collect it in `faults`; then nothing may be run."""
        error = CheckError(message, hint, word=word, there=self.there)
        if self.faults is None:
            raise error
        # A column may be asked for several times.
        if message not in (fault.message for fault in self.faults):
            self.faults.append(error)

    def column(self, name: str) -> ColumnElement[Any]:
        """The column, or the value of an expression, as it is."""
        if self.is_expression(name):
            return self.snapshot.expression(name)
        self.column_info(name)
        return self.table.c[name] if name in self.table.c else column(name)

    def not_null(self, names: Iterable[str]) -> ColumnElement[bool]:
        """None of the columns is NULL."""
        return and_(true(), *(self.column(name).is_not(None) for name in names))

    def exact(self, name: str) -> ColumnElement[Any]:
        """The column, such that `=` tells apart all that differs, whatever its collation says."""
        return self.snapshot.source.dialect.exact(self.column(name), self.column_info(name))

    def same(self, name: str, other: "Scope", other_name: str) -> ColumnElement[bool]:
        """Whether a column and one of another table have the same value, of any types."""
        info, other_info = self.column_info(name), other.column_info(other_name)
        if _is_words(info) != _is_words(other_info):
            as_text, as_text_there = self.comparable(name, other, other_name)
            return as_text == as_text_there
        dialect = self.snapshot.source.dialect
        return dialect.same(self.column(name), info, other.column(other_name), other_info)

    def comparable(
        self, name: str, other: "Scope", other_name: str
    ) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
        """Both columns as expressions that are equal for equal values.

        `1` equals `'1'`, and a UUID is the same in upper and lower case.
        """
        info, other_info = self.column_info(name), other.column_info(other_name)
        if _is_words(info) == _is_words(other_info):
            dialect = self.snapshot.source.dialect
            return dialect.pair(self.column(name), info, other.column(other_name), other_info)
        if Family.UUID in (info.family, other_info.family):
            return self.folded(name), other.folded(other_name)
        return self.text(name), other.text(other_name)

    def native(self, name: str) -> ColumnElement[Any]:
        """The column as a value that can be compared with literals of its family."""
        return self.snapshot.source.dialect.native(self.column(name), self.column_info(name))

    def opaque(self, name: str) -> ColumnElement[Any]:
        """The column, of an uncommon type, as a value to be compared with a bound text."""
        return self.snapshot.source.dialect.opaque(self.column(name), self.column_info(name))

    def portable(self, name: str) -> ColumnElement[Any]:
        """The column in the form in which it is compared with one of another database."""
        return self.snapshot.source.dialect.portable(self.column(name), self.column_info(name))

    def if_text(self, name: str, changed: ColumnElement[Any]) -> ColumnElement[Any]:
        """`changed` where the value is text, else the value. See `may_hold_text`."""
        return self.snapshot.source.dialect.if_text(self.exact(name), changed)

    def text(self, name: str) -> ColumnElement[Any]:
        """The column as exact text."""
        return self.snapshot.source.dialect.text(self.column(name), self.column_info(name))

    def folded(self, name: str) -> ColumnElement[Any]:
        """The column as exact text in lower case."""
        return self.snapshot.source.dialect.folded(self.text(name))

    def length(self, name: str) -> ColumnElement[int]:
        """The number of characters in the column's text."""
        return self.snapshot.source.dialect.length(self.characters(name))

    def matches(self, name: str, pattern: str, *, part: bool = False) -> ColumnElement[bool]:
        """Whether the column's text matches a regular expression."""
        return self.snapshot.source.dialect.matches(self.characters(name), pattern, part=part)

    def characters(self, name: str) -> ColumnElement[Any]:
        """The column as exact text. Raises CheckError, or collects it, where it holds bytes."""
        info = self.column_info(name)
        if info.family is Family.BYTES and not self.snapshot.source.dialect.has_typed_values:
            self.refuse(
                f"`{name}` is {info.type}, which has bytes and no characters",
                f"Compare in SQL, as in `never: octet_length({name}) > 80`.",
                name,
            )
        return self.text(name)

    def is_text(self, name: str) -> bool:
        """Whether the column holds text (an enum's words are text, too)."""
        return _is_words(self.column_info(name))

    def may_hold_text(self, name: str) -> bool:
        """Whether values of the column can be text, whatever its type is called."""
        return self.is_text(name) or self.snapshot.source.dialect.has_typed_values

    def instant(self, name: str) -> ColumnElement[Any]:
        """The column as a point in time, comparable with `time_literal` of the same column.

        Raises CheckError, or collects it, when its values are neither times nor numbers.
        """
        info, dialect = self._time_info(name), self.snapshot.source.dialect
        # Without a type it is a column of a query.
        if info.type and info.family not in _INSTANTS and not dialect.has_typed_values:
            self.refuse(
                f"`{name}` is {info.type}, and not a time",
                "Name a column of dates or times, or one of a view that casts it: "
                f"`cast({name} as {_INSTANT_TYPES.get(dialect.name, 'timestamp')})`.",
                name,
            )
        return dialect.instant(self.column(name), info)

    def time_literal(self, name: str, at: datetime) -> ColumnElement[Any]:
        """A time, comparable with `instant` of the same column.

        A time without a zone is read in the zone of the source.
        """
        zone = self.snapshot.source.settings.zone
        aware = at if at.tzinfo else at.replace(tzinfo=zone)
        return self.snapshot.source.dialect.time_literal(aware, self._time_info(name), zone)

    def time_of(self, name: str, value: Any) -> datetime:
        """A value that `instant` of the column returned, as a time in UTC."""
        if not isinstance(value, date):
            # Seconds since 1970, or microseconds.
            number = float(value)
            seconds = number if abs(number) < _LARGEST_SECONDS else number / 1_000_000
            return datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)
        at = datetime.fromisoformat(value.isoformat())
        if at.tzinfo is None:
            is_utc = self.column_info(name).family is Family.TIMESTAMPTZ
            at = at.replace(tzinfo=UTC if is_utc else self.snapshot.source.settings.zone)
        return at.astimezone(UTC)

    def number(self, name: str, value: object) -> ColumnElement[Any]:
        """A value of a rule, to be compared with the column."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self.snapshot.source.dialect.number(value, self.column_info(name))
        return bind(value)

    def predicate(self, sql: str) -> ColumnElement[bool]:
        """A user's SQL condition."""
        return self.snapshot.predicate(sql)

    @property
    def extent(self) -> tuple[object, ...]:
        """What selects the rows of the rule, except for its `window`.

        Two rules with the same extent are about the same rows.
        """
        return self.subject.where, self.subject.within

    @property
    def is_whole(self) -> bool:
        """Whether the rule is about all rows (of its `window`)."""
        return self.extent == (None, None)

    @property
    def picked(self) -> ColumnElement[bool]:
        """The rows picked by `where`, of any age."""
        if self.subject.where is None:
            return true()
        return and_(true(), self.predicate(self.subject.where))

    @property
    def judged(self) -> ColumnElement[bool]:
        """The rows that are old enough and selected by `where`.

        A row whose age can't be read is judged, too: otherwise it could never violate.
        """
        conditions: list[ColumnElement[bool]] = [self.picked]
        if (age := self.subject.within) is not None:
            conditions.append(or_(self._is_older(age), self.instant(age.column).is_(None)))
        return and_(true(), *conditions)

    @property
    def in_window(self) -> ColumnElement[bool]:
        """The rows young enough for `window`; a row without an age is in no window."""
        age = self.subject.window
        if age is None:
            return true()
        return self.instant(age.column) >= self.time_literal(age.column, self.now - age.duration)

    @property
    def is_new(self) -> ColumnElement[bool]:
        """The rows that this scope is narrowed to."""
        if self.newer is None:
            return true()
        name, value = self.newer
        column, info = self.column(name), self.column_info(name)
        if isinstance(value, datetime):
            new = self.instant(name) >= self.time_literal(name, value)
        else:
            new = column >= bind(value)
        return or_(new, column.is_(None)) if info.nullable else new

    @property
    def rows(self) -> ColumnElement[bool]:
        """All rows that the rule is about."""
        return and_(self.judged, self.in_window, self.is_new)

    def other(
        self,
        text: str,
        where: str | None = None,
        snapshot: Snapshot | None = None,
        within: Age | None = None,
    ) -> "Scope":
        """Another table, as the rule names it; all of its rows, or those picked by `where`.

        Parameters: `snapshot` is the one of its source, where that is another; `within` is the age
        below which its rows are not judged.
        """
        name = TableName.parse(text, self.subject.sources, self.subject.source)
        subject = Subject(name.source, name, self.subject.sources, where, within)
        # A table that is compared with itself needs an alias, or its columns would mean the
        # outer row.
        alias = "other" if name == self.subject.table else None
        return Scope(
            snapshot or self.snapshot, subject, alias=alias, faults=self.faults, there=True
        )

    def other_query(
        self,
        sql: str,
        source: str,
        where: str | None,
        snapshot: Snapshot,
        within: Age | None = None,
    ) -> "Scope":
        """A user's SELECT in a source, in place of another table."""
        subject = Subject(source, None, self.subject.sources, where, within)
        return Scope(snapshot, subject, query=sql, faults=self.faults, there=True)

    def _time_info(self, name: str) -> ColumnInfo:
        """What is known of a column of times. A query has no catalog, so the database is asked."""
        info = self.column_info(name)
        if self.info.name or name not in self.info.columns:
            return info
        return self.snapshot.value_type(self.column(name), self.table)

    def _look_up(self, name: TableName) -> TableInfo:
        try:
            return self.snapshot.table(name.name, name.schema)
        except CheckError as error:
            if self.faults is None:
                raise
            self.absent, error.there = True, self.there
            self.faults.append(error)
            return TableInfo(name.name, name.schema, {})

    def _is_older(self, age: Age) -> ColumnElement[bool]:
        return self.instant(age.column) <= self.time_literal(age.column, self.now - age.duration)


def _is_words(info: ColumnInfo) -> bool:
    return info.family in (Family.TEXT, Family.ENUM)


def bind(value: object) -> ColumnElement[Any]:
    """A value as a bound parameter whose type the database infers from what it is compared with."""
    return null() if value is None else literal(value, NullType())


def instead(name: str, columns: Iterable[str]) -> str:
    """What to write instead of a column that isn't there."""
    names = list(columns)
    suggestion = nearest(name, names)
    return f"Did you mean `{suggestion}`?" if suggestion else f"It has {_listed(names)}."


def _listed(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
