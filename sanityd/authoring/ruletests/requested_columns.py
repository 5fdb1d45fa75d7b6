"""All columns that a rule names, outside of SQL and in it. Pure: reads no database."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from sanityd.authoring.ruletests import sql_columns
from sanityd.authoring.ruletests.infer_columns import Families, infer_columns
from sanityd.checks.expressions import other_expressions, own_expressions
from sanityd.checks.invariant import Invariant, TableName
from sanityd.sources.catalog import Family


class RuleColumns:
    """The columns that a rule names in each table, and those of them that it reads as times.

    Parameters: `dialects` are sqlglot's names by source; `types` are the types that the rows of
    the example have; `now` is the present of the example.
    """

    def __init__(
        self, invariant: Invariant, dialects: Mapping[str, str], types: Families, now: datetime
    ) -> None:
        self._invariant = invariant
        self._dialects = dialects
        self._types = types
        requested = infer_columns(invariant, types, now)
        self._requested_times = requested.times
        #: Columns by table. A type is given where only SQL tells it.
        self.by_table: dict[TableName, dict[str, Family | None]] = {}
        for table, columns in requested.columns.items():
            self.by_table[table] = dict.fromkeys(columns)
        self._add_key()
        self._add_sql()

    def of(self, table: TableName) -> Mapping[str, Family | None]:
        """Return the columns that the rule names in one table."""
        return self.by_table.get(table, {})

    def times(self, table: TableName) -> set[str]:
        """Return the columns of one table that the rule reads as times."""
        times = {column for owner, column in self._requested_times if owner == table}
        for column, family in self.of(table).items():
            if family is Family.TIMESTAMP:
                times.add(column)
        return times

    def counterparts(self, table: TableName, column: str) -> Iterator[tuple[TableName, str]]:
        """Yield the columns of other tables that the rule compares with this one."""
        subject = self._invariant.subject
        if subject.table is None:
            return
        for text, compared in self._invariant.check.compared_columns():
            if text is None:
                continue
            other_table = TableName.parse(text, subject.sources, subject.source)
            for own_column, other_column in compared.items():
                if (other_table, other_column) == (table, column):
                    yield subject.table, own_column
                elif (subject.table, own_column) == (table, column):
                    yield other_table, other_column

    def _add_key(self) -> None:
        """Put the key before the other columns of the rule's own table."""
        subject = self._invariant.subject
        if subject.table is not None and self._invariant.check.needs_key:
            columns = self.by_table.get(subject.table, {})
            self.by_table[subject.table] = {**dict.fromkeys(subject.key), **columns}

    def _add_sql(self) -> None:
        """Add the columns that SQL names."""
        ambiguous: dict[str, list[sql_columns.ColumnMention]] = {}
        for mention in self._sql_mentions():
            columns = self.by_table.setdefault(mention.table, {})
            if not mention.column:
                continue
            if mention.sure:
                columns[mention.column] = columns.get(mention.column) or mention.family
            else:
                ambiguous.setdefault(mention.column, []).append(mention)
        for column, mentions in ambiguous.items():
            # SQL names the column without its table: it belongs to those that have it, or else to
            # the first table.
            owners = [mention for mention in mentions if self._has(mention.table, column)]
            for mention in owners or mentions[:1]:
                columns = self.by_table[mention.table]
                columns[column] = columns.get(column) or mention.family

    def _has(self, table: TableName, column: str) -> bool:
        return column in self.by_table[table] or column in self._types.get(table, {})

    def _sql_mentions(self) -> Iterator[sql_columns.ColumnMention]:
        """Yield what the condition `where`, and the conditions and queries of the check name."""
        subject, check = self._invariant.subject, self._invariant.check
        if subject.table is not None and subject.where:
            yield from self._of_condition(subject.where, subject.table)
        yield from self._of_expressions()
        tables = [TableName.parse(text, subject.sources, subject.source) for text in check.tables()]
        if not tables and subject.table is not None:
            tables = [subject.table]
        for sql in check.sql():
            for table in tables:
                yield from self._of_condition(sql, table)
        query = check.query_sql()
        if query:
            yield from self._of_query(query, subject.source)
        other = check.query_elsewhere()
        if other is not None and other.query and other.source:
            yield from self._of_query(other.query, other.source)

    def _of_expressions(self) -> Iterator[sql_columns.ColumnMention]:
        """Yield what expressions name that stand in place of columns."""
        subject = self._invariant.subject
        for compared in self._invariant.check.compared_columns():
            if subject.table is not None:
                for sql in own_expressions([compared]):
                    yield from self._of_condition(sql, subject.table)
            if compared.table is not None:
                other = TableName.parse(compared.table, subject.sources, subject.source)
                for sql in other_expressions([compared]):
                    yield from self._of_condition(sql, other)

    def _of_condition(self, sql: str, table: TableName) -> list[sql_columns.ColumnMention]:
        return sql_columns.of_condition(sql, self._dialects.get(table.source, ""), table)

    def _of_query(self, sql: str, source: str) -> list[sql_columns.ColumnMention]:
        return sql_columns.of_query(sql, self._dialects.get(source, ""), source)
