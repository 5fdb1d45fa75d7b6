"""Build an example from a case: typed tables with the columns that the rule and the rows name.

Each value that doesn't fit its column is a problem with its position. Reads no database.
"""

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from zoneinfo import ZoneInfo

from sanityd.authoring.ruletests.fixtures import Example, TableFixture
from sanityd.authoring.ruletests.requested_columns import RuleColumns
from sanityd.authoring.ruletests.typed_values import TIMES, family_of_values, stored
from sanityd.checks.invariant import TableName
from sanityd.errors import Problem
from sanityd.model import Value
from sanityd.rules import time_values
from sanityd.rules.cases import Case, Row
from sanityd.rules.rule import Rule
from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document
from sanityd.sources.catalog import UNCOMMON, Family, TableInfo

#: Similarity of two column names from which on one is taken for a misspelling of the other.
_SIMILARITY = 0.8
#: Number of keys that are compared with those of a case; more than any case has.
_CAP = 10_000
#: The catalog entries of the real tables, where the databases were asked.
Catalog = Mapping[TableName, TableInfo]
#: Names of families in messages, where they differ from the words of `types`.
_FAMILY_WORDS = {
    Family.INTEGER: "whole number",
    Family.TIMESTAMP: "time",
    Family.TIMESTAMPTZ: "time",
}


class ExampleBuilder:
    """Builds examples from cases, and collects their problems in `problems`.

    Parameters: `document` holds the cases; `zones` and `dialects` are those of the sources;
    `catalog` holds the real tables, where the databases were asked.
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

    def build(self, case: Case, rule: Rule) -> Example:
        """Return the example of a case."""
        types = {table: self._types(case, table, frozenset()) for table in case.given}
        key = self._key(case, rule, types)
        subject = replace(rule.invariant.subject, key=key)
        # Keys are compared with those of the case: they are not redacted, and all are needed.
        invariant = replace(rule.invariant, subject=subject, redaction=None, cap=_CAP)
        columns = RuleColumns(invariant, self._dialects, types, case.now)
        if case.violates is True and rule.invariant.check.quotes_rows:
            advice = "write the keys of the rows that it must find, as in `[2]`"
            self._add_problem((*case.path, "violates"), "`true` doesn't say which rows", advice)
        tables = dict.fromkeys([*case.given, *columns.by_table])
        fixtures = [self._fixture(case, table, columns) for table in tables]
        return Example(case, invariant, tuple(fixtures), self._zones, self._dialects)

    def _key(
        self, case: Case, rule: Rule, types: Mapping[TableName, Mapping[str, Family]]
    ) -> tuple[str, ...]:
        """Return the key of the rule, else that of the real table, else a guess."""
        subject = rule.invariant.subject
        if subject.key or subject.table is None or not rule.invariant.check.needs_key:
            return subject.key
        real_table = self._catalog.get(subject.table)
        if real_table:
            return real_table.key
        columns = types.get(subject.table, {})
        key = _key_of_expectation(case, columns)
        if key:
            return key
        if "id" in columns or not columns:
            return ("id",)
        if case.violates and len(columns) > 1:
            message = f"it is not clear which columns identify a row of `{subject.table}`"
            column = next(iter(columns))
            advice = f"say `key:` in the rule, or write `{{{column}: …}}` in `violates`"
            self._add_problem((*case.path, "violates"), message, advice, key=True)
        return tuple(columns)

    def _fixture(self, case: Case, table: TableName, rule_columns: RuleColumns) -> TableFixture:
        """Return one table: columns of the rows, of the rule, and those that are always NULL."""
        times = rule_columns.times(table)
        columns = self._types(case, table, times)
        requested = rule_columns.of(table)
        for column, family in requested.items():
            if column in columns:
                continue
            real_family = self._real_family(table, column)
            if real_family:
                columns[column] = real_family
            elif column in times:
                columns[column] = Family.TIMESTAMP
            elif family:
                columns[column] = family
            else:
                counterpart = self._counterpart_family(case, table, column, rule_columns)
                columns[column] = counterpart or Family.TEXT
        rows = case.given.get(table, ())
        for column in _columns_of(rows):
            # It is NULL in every row, and the rule doesn't name it.
            columns.setdefault(column, Family.TEXT)
        self._check_column_names(case, table, requested)
        if not columns:
            # No database has a table without columns.
            columns = {"sanityd_nothing": Family.INTEGER}
        typed_rows = [self._row(case, table, number, columns) for number in range(len(rows))]
        return TableFixture(table, columns, tuple(typed_rows))

    def _types(self, case: Case, table: TableName, times: Collection[str]) -> dict[str, Family]:
        """Return the types of columns that the case declares, the database has, or values show."""
        rows = case.given.get(table, ())
        declared = case.types.get(table, {})
        types: dict[str, Family] = {}
        for column in dict.fromkeys([*_columns_of(rows), *declared]):
            values = [row[column] for row in rows if row.get(column) is not None]
            family = family_of_values(column, values, is_time=column in times)
            real_family = self._real_family(table, column)
            # Some databases store times as text; those of an example are still times.
            is_time_as_text = real_family is Family.TEXT and family in TIMES
            if real_family is not None and not is_time_as_text:
                family = real_family
            if column in declared:
                family = Family(declared[column])
            if family is not None:
                types[column] = family
        return types

    def _real_family(self, table: TableName, column: str) -> Family | None:
        """Return the type of a column in the real table.

        None where the database was not asked, and for types that examples can't have.
        """
        if table not in self._catalog or column not in self._catalog[table].columns:
            return None
        family = self._catalog[table].columns[column].family
        return None if family in UNCOMMON | {Family.ENUM} else family

    def _counterpart_family(
        self, case: Case, table: TableName, column: str, rule_columns: RuleColumns
    ) -> Family | None:
        """Return the type of the column that the rule compares this one with."""
        counterpart = next(rule_columns.counterparts(table, column), None)
        if counterpart is None:
            return None
        other_table, other_column = counterpart
        return self._types(case, other_table, ()).get(other_column)

    def _row(
        self, case: Case, table: TableName, number: int, columns: Mapping[str, Family]
    ) -> Mapping[str, Value]:
        """Return the values of a row by column; NULL for each that doesn't fit its column."""
        row = case.given[table][number]
        now = case.now.astimezone(self._zones.get(table.source, UTC))
        values: dict[str, Value] = {}
        for column, family in columns.items():
            value = row.get(column)
            values[column] = None
            if value is None:
                continue
            try:
                values[column] = stored(value, family, now)
            except ValueError:
                path = (*case.path, "given", case.named[table], number, column)
                word = _FAMILY_WORDS.get(family, family.value)
                advice = "write another value, or another type in `types`"
                if family in TIMES:
                    advice = time_values.ADVICE
                self._add_problem(path, f"`{value}` is no {word}", advice)
        return values

    def _check_column_names(self, case: Case, table: TableName, requested: Collection[str]) -> None:
        """Report columns that the real table hasn't, or that look like a misspelling."""
        rows = case.given.get(table, ())
        real_table = self._catalog.get(table)
        for number, row in enumerate(rows):
            path = (*case.path, "given", case.named[table], number)
            for column in row:
                if real_table is not None:
                    self._check_real_column(real_table, table, (*path, column))
                elif column not in requested:
                    candidates = _missing_columns(row, column, rows, requested)
                    self._check_spelling((*path, column), column, candidates)

    def _check_real_column(self, real_table: TableInfo, table: TableName, path: KeyPath) -> None:
        column = str(path[-1])
        if column in real_table.columns:
            return
        similar = difflib.get_close_matches(column, real_table.columns, n=1)
        if similar:
            advice = f"did you mean `{similar[0]}`?"
        else:
            advice = f"it has {', '.join(real_table.columns)}"
        self._add_problem(path, f"table `{table}` has no column `{column}`", advice, key=True)

    def _check_spelling(self, path: KeyPath, column: str, candidates: Sequence[str]) -> None:
        similar = difflib.get_close_matches(column, candidates, n=1, cutoff=_SIMILARITY)
        if similar:
            message = f"the rule asks for no column `{column}`, and here is no `{similar[0]}`"
            self._add_problem(path, message, f"did you mean `{similar[0]}`?", key=True)

    def _add_problem(self, path: KeyPath, message: str, advice: str, *, key: bool = False) -> None:
        self.problems.append(self._document.problem(path, message, advice, key=key))


def _key_of_expectation(case: Case, columns: Collection[str]) -> tuple[str, ...]:
    """Return the columns that the first key of the form `{column: value}` in `violates` names."""
    if not isinstance(case.violates, Sequence):
        return ()
    for key in case.violates:
        if isinstance(key, dict):
            return tuple(name for name in key if name in columns)
    return ()


def _columns_of(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        yield from row


def _missing_columns(
    row: Row, column: str, rows: Sequence[Row], requested: Collection[str]
) -> list[str]:
    """Return the columns that a row lacks, and of which `column` may be a misspelling.

    Two columns that occur together in any row are different columns.
    """
    missing = []
    for other in (*requested, *sorted(set(_columns_of(rows)))):
        if other in row:
            continue
        if not any(other in any_row and column in any_row for any_row in rows):
            missing.append(other)
    return missing
