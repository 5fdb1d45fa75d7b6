"""Finds values in a rule that its tables never have, so that the rule checks nothing.

Reads a limited number of rows. What can't be read, or not completely, is no finding.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy import column as column_named

from sanityd.alerts.compose.sanitize import display_value
from sanityd.authoring.equalities import Equality, equalities
from sanityd.checks.base import Check, plural
from sanityd.checks.comparison import digest
from sanityd.checks.crosscheck import canonical_columns
from sanityd.checks.invariant import Invariant, Subject, TableName
from sanityd.checks.plan import Elsewhere
from sanityd.checks.scope import Scope
from sanityd.errors import CheckError
from sanityd.sources.base import AnySelect, Snapshot
from sanityd.sources.missing_table import nearest

#: How many rows of a table are read.
ROWS = 100_000
#: How many of the rule's own keys are looked for in the other table.
_KEYS = 1_000
#: A column with more different values is no list of words: its values are not shown.
_WORDS = 50
#: The longest value that a finding shows.
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Unmatched:
    """One finding. `word` is the value or name in the rule, `option` the key that it is below."""

    option: str
    word: str
    message: str
    advice: str


@dataclass(frozen=True, slots=True)
class _Values:
    """The values of a column among the rows that were read, the most frequent first.

    `is_complete` says whether these are all values of all rows.
    """

    column: str
    counts: Mapping[str, int]
    is_complete: bool
    #: Whether a value with other letters may be meant by a word.
    also_typos: bool = False

    def without(self, words: Collection[str]) -> "_Values":
        """Return the values that are not among the words."""
        counts = {value: count for value, count in self.counts.items() if value not in words}
        return _Values(self.column, counts, self.is_complete, also_typos=True)

    def near(self, word: str) -> str:
        """Return the value that the word may mean: equal but for case and blanks, or a typo.

        Empty when there is none.
        """
        by_form = {_folded(value): value for value in self.counts}
        same = by_form.get(_folded(word), "")
        if not same and self.also_typos:
            return nearest(word, list(self.counts))
        return same

    def examples(self, near: str, *, may_show: bool) -> str:
        """Return what the rows have instead, as the end of a sentence.

        A value is shown when it may be meant by the word, which then is no secret; others only if
        the rule allows it (`may_show`).
        """
        value = near
        if not value and may_show:
            value = next(iter(self.counts), "")
        count = self.counts.get(value, 0)
        if count < 2 or len(self.counts) > _WORDS:
            return f"it has {_number(len(self.counts), 'other value')}"
        rows = plural(count, "row is", "rows are")
        return f"{count:,} {rows} `{display_value(value, _SHOWN)}`"


def unmatched(invariant: Invariant, snapshot: Snapshot, elsewhere: Elsewhere) -> list[Unmatched]:
    """Return all findings of a valid rule. Raises SourceError when a source is lost."""
    finder = _Finder(invariant, snapshot, elsewhere)
    findings: list[Unmatched] = []
    for part in finder.parts():
        # That a statement fails is the business of those who report the rule's errors.
        with suppress(CheckError):
            findings.extend(part())
    return list(dict.fromkeys(findings))


class _Finder:
    def __init__(self, invariant: Invariant, snapshot: Snapshot, elsewhere: Elsewhere) -> None:
        self._invariant = invariant
        self._check: Check = invariant.check
        self._snapshot = snapshot
        self._elsewhere = elsewhere
        self._is_redacted = invariant.redaction is not None

    def parts(self) -> Sequence[Callable[[], Iterator[Unmatched]]]:
        """Return the searches that apply to the rule, each of which may fail alone."""
        if self._invariant.subject.table is None:
            return ()
        return (self._own_where, self._other_where, self._nulls, self._words, self._keys)

    def _own_where(self) -> Iterator[Unmatched]:
        subject = self._invariant.subject
        whole = Subject(subject.source, subject.table, subject.sources)
        yield from self._missing_literals(Scope(self._snapshot, whole), subject.where, "where")

    def _other_where(self) -> Iterator[Unmatched]:
        for table in self._check.tables():
            for where in self._check.sql():
                other = self._other(table)
                yield from self._missing_literals(other, where, self._invariant.kind)

    def _missing_literals(
        self, scope: Scope, where: str | None, option: str
    ) -> Iterator[Unmatched]:
        """Yield the literals in equalities of a condition that no row of the table has."""
        dialect = scope.snapshot.source.dialect.name
        for equality in equalities(where, dialect, scope.info.columns):
            counts, is_complete = _counts(scope, equality)
            absent = [word for word, count in counts.items() if not count]
            if absent:
                values = _values(scope, equality.column)
                is_unused = is_complete and len(absent) == len(counts)
                yield from self._absent(option, values, absent, is_unused=is_unused)

    def _absent(
        self, option: str, values: _Values, words: Sequence[str], *, is_unused: bool
    ) -> Iterator[Unmatched]:
        """Yield the words that are similar to a value; all of them if none is used."""
        for word in words:
            near = values.near(word)
            if near or (is_unused and values.counts):
                yield self._never(option, values, word, near)

    def _never(self, option: str, values: _Values, word: str, near: str) -> Unmatched:
        may_show = values.column in self._invariant.subject.show and not self._is_redacted
        examples = values.examples("" if self._is_redacted else near, may_show=may_show)
        extent = "never" if values.is_complete else f"in none of {ROWS:,} rows"
        advice = "write the value as the rows have it"
        if near:
            advice = f"did you mean `{display_value(near, _SHOWN)}`?"
        message = f"`{values.column}` is {extent} `{word}`; {examples}"
        return Unmatched(option, word, message, advice)

    def _nulls(self) -> Iterator[Unmatched]:
        """Yield the columns that are NULL in all rows, where the rule lets NULL pass."""
        subject = self._invariant.subject
        if not self._check.judges_nulls or subject.nulls_fail:
            return
        scope = Scope(self._snapshot, subject)
        compared = chain(*(compared.columns for compared in self._check.compared_columns()))
        for name in dict.fromkeys((*self._check.value_columns(), *compared)):
            rows = _limited(scope, name, ROWS)
            counts = select(func.count(), func.count(rows.c[0])).select_from(rows)
            [(count, not_null)] = scope.snapshot.rows(counts)
            if not_null == 0 < count < ROWS:
                message = f"`{name}` is NULL in all {_number(count, 'row')} in scope, which pass"
                advice = "write `nulls: fail` if NULL is wrong, or correct the column"
                yield Unmatched(self._invariant.kind, name, message, advice)

    def _words(self) -> Iterator[Unmatched]:
        """Yield the listed values and states that no row has."""
        scope = Scope(self._snapshot, self._invariant.subject)
        for listed in self._check.listed_words():
            if not scope.is_text(listed.column):
                continue
            values = _values(scope, listed.column)
            absent = [word for word in listed.words if word not in values.counts]
            is_unused = False
            if listed.allowed:
                is_unused = values.is_complete and len(absent) == len(listed.words)
                # Only values that are not listed can be meant by a word that no row has.
                values = values.without(listed.words)
            yield from self._absent(self._invariant.kind, values, absent, is_unused=is_unused)

    def _keys(self) -> Iterator[Unmatched]:
        """Yield the other tables that have none of the keys by which rows are found in them."""
        for table, on in self._check.compared_columns():
            if table is None:
                continue
            scope = Scope(self._snapshot, self._invariant.subject)
            own, other = _key_sides(scope, self._other(table), on)
            own_keys, other_keys = own.read(_KEYS), other.read(ROWS)
            is_complete = 0 < len(other_keys) < ROWS
            if is_complete and len(own_keys) > 1 and own_keys.keys().isdisjoint(other_keys):
                own_name, other_name = ", ".join(own.names), ", ".join(other.names)
                message = (
                    f"none of {_number(len(own_keys), 'value')} of `{own_name}` is in"
                    f" `{table}.{other_name}`: here they are {own.form(own_keys)}, there"
                    f" {other.form(other_keys)} (9 is any digit, a any letter)"
                )
                advice = "compare columns with the same values"
                yield Unmatched(self._invariant.kind, other_name, message, advice)

    def _other(self, table: str) -> Scope:
        subject = self._invariant.subject
        name = TableName.parse(table, subject.sources, subject.source)
        snapshot = self._elsewhere(name.source)
        return Scope(self._snapshot, subject).other(str(name), None, snapshot)


@dataclass(frozen=True, slots=True)
class _KeySide:
    """The columns of one table by which rows are matched, and how their values are compared."""

    scope: Scope
    names: tuple[str, ...]
    values: Sequence[ColumnElement[Any]]
    writers: Sequence[Callable[[Any], str]]

    def read(self, most: int) -> dict[bytes, str]:
        """Return the keys of that many rows: their identity, and the form of their values."""
        scope = self.scope
        rows = select(*self.values).select_from(scope.table)
        rows = rows.where(scope.rows, scope.not_null(self.names)).limit(most)
        keys = {}
        for row in scope.snapshot.rows(rows):
            keys[digest(row, self.writers)] = _form(", ".join(map(str, row)))
        return keys

    def form(self, keys: Mapping[bytes, str]) -> str:
        """Return the types of the columns, and the form of a key."""
        types = [self.scope.column_info(name).type for name in self.names]
        return f"{', '.join(types)}, such as `{next(iter(keys.values()))}`"


def _key_sides(own: Scope, other: Scope, on: Mapping[str, str]) -> tuple[_KeySide, _KeySide]:
    """Return both sides, whose values are compared as a run of the rule compares them."""
    own_writers, other_writers = map(list, canonical_columns(own, other, on))
    own_values = [own.exact(name) for name in on]
    other_values = [other.exact(name) for name in on.values()]
    for number, (name, other_name) in enumerate(on.items()):
        # Within one source, the database compares a text with another type as texts.
        if own.snapshot is other.snapshot and own.is_text(name) is not other.is_text(other_name):
            values = own.comparable(name, other, other_name)
            own_values[number], other_values[number] = values
            own_writers[number] = other_writers[number] = str
    return (
        _KeySide(own, tuple(on), own_values, own_writers),
        _KeySide(other, tuple(on.values()), other_values, other_writers),
    )


def _limited(scope: Scope, name: str, most: int) -> Any:
    """Return a column of that many rows in scope, as a subquery."""
    value = scope.exact(name).label("value")
    return select(value).select_from(scope.table).where(scope.rows).limit(most).subquery("part")


def _values(scope: Scope, name: str) -> _Values:
    """Read which values a column has, as texts."""
    rows = _limited(scope, name, ROWS)
    value: ColumnElement[Any] = column_named("value")
    count = func.count()
    statement: AnySelect = select(value, count).select_from(rows).where(value.is_not(None))
    statement = statement.group_by(value).order_by(count.desc(), value).limit(_KEYS)
    read = scope.snapshot.rows(statement)
    counts = {str(row[0]): int(row[1]) for row in read}
    is_complete = len(read) < _KEYS and sum(counts.values()) < ROWS
    return _Values(name, counts, is_complete)


def _counts(scope: Scope, equality: Equality) -> tuple[dict[str, int], bool]:
    """Count the rows that have each of the literals, as the database compares them.

    The second value says whether all rows were read.
    """
    column = scope.column(equality.column).label(equality.column)
    rows = select(column).select_from(scope.table).limit(ROWS).subquery(scope.info.name)
    conditions = map(scope.predicate, equality.conditions)
    counts = [func.count(case((condition, 1))) for condition in conditions]
    [row] = scope.snapshot.rows(select(func.count(), *counts).select_from(rows))
    return dict(zip(equality.words, row[1:], strict=True)), row[0] < ROWS


def _form(text: str) -> str:
    """Return the form of a value, without the value: `P-017` becomes `a-999`."""
    form = re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", text[:_SHOWN]))
    return display_value(form, _SHOWN)


def _folded(text: str) -> str:
    return "".join(text.split()).casefold()


def _number(count: int, noun: str) -> str:
    return f"{count:,} {plural(count, noun, noun + 's')}"
