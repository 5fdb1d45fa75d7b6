"""Find the words in refused SQL that name no table, column or function. Asks the catalog only.

Only SQL that a database refused is examined: what this module doesn't know of a dialect is never
reported as a mistake.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sanityd.checks.scope import instead
from sanityd.errors import CheckError
from sanityd.sources.catalog import TableInfo
from sanityd.sources.sql_gate import check_against

if TYPE_CHECKING:
    from sqlglot import exp

#: Words that stand before brackets without being functions.
_KEYWORDS = frozenset(
    {"all", "and", "any", "as", "by", "case", "else", "exists", "from", "in", "not", "on", "or"}
)
#: Catalog entries by the id of the table's node in the syntax tree; None for unknown columns.
_Catalog = Mapping[int, TableInfo | None]


@dataclass(frozen=True, slots=True)
class SqlError:
    """A wrong word of the SQL: its start, its length, the message and the advice."""

    start: int
    length: int
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class RefusedSql:
    """SQL that a source refused, and its error."""

    sql: str
    source: str
    #: sqlglot's name of the source's SQL.
    dialect: str
    answer: CheckError
    #: Returns the catalog entry of a table by schema (or none) and name. Raises CheckError when
    #: there is none.
    tables: Callable[[str | None, str], TableInfo]
    #: The table that the SQL is a condition on; None for a whole SELECT.
    own: TableInfo | None = None

    def errors(self) -> list[SqlError]:
        """Return the words that name nothing, else the word that the source's error is about."""
        name_errors = sorted(set(self._name_errors()), key=lambda error: error.start)
        if name_errors:
            return name_errors
        word = quoted(self.answer.message, self.sql)
        if word is None:
            return []
        hint = self.answer.hint if self.answer.has_own_hint else check_against(self.dialect)
        return [SqlError(word.start(), word.end() - word.start(), self.answer.message, hint)]

    def _name_errors(self) -> Iterator[SqlError]:
        from sqlglot import exp

        tree = self._parsed()
        if tree is None:
            return
        catalog: dict[int, TableInfo | None] = {}
        yield from self._table_errors(tree, catalog)
        for column in tree.find_all(exp.Column):
            if isinstance(column.this, exp.Identifier):
                yield from self._column_errors(column, catalog)

    def _parsed(self) -> "exp.Expr | None":
        import sqlglot
        from sqlglot import exp
        from sqlglot.errors import SqlglotError

        form = None if self.own is None else exp.Condition
        try:
            return sqlglot.parse_one(self.sql, read=self.dialect, into=form)
        except (SqlglotError, RecursionError):
            return None

    def _table_errors(
        self, tree: "exp.Expr", catalog: dict[int, TableInfo | None]
    ) -> Iterator[SqlError]:
        """Yield the tables that don't exist, and fill the catalog with the others."""
        from sqlglot import exp

        cte_names = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
        for table in tree.find_all(exp.Table):
            catalog[id(table)] = None
            if not isinstance(table.this, exp.Identifier) or table.name.lower() in cte_names:
                continue
            try:
                catalog[id(table)] = self.tables(table.db or None, table.name)
            except CheckError as error:
                yield _error_at(table.this, error.message, error.hint)

    def _column_errors(self, column: "exp.Column", catalog: _Catalog) -> Iterator[SqlError]:
        """Yield an error for a column that no visible table has, if all of them are known."""
        tables = self._tables_of(column, catalog)
        if not tables:
            return
        names: list[str] = []
        for info in tables:
            names += info.columns
        candidates = {name.lower() for name in names}
        for query in _queries(column):
            candidates.update(str(select.alias).lower() for select in query.selects)
        if column.name.lower() in candidates:
            return
        titles = " or ".join(dict.fromkeys(f"`{self._full_name(info)}`" for info in tables))
        message = f"table {titles} has no column `{column.name}`"
        yield _error_at(column.this, message, instead(column.name, names))

    def _tables_of(self, column: "exp.Column", catalog: _Catalog) -> list[TableInfo]:
        """Return the tables that a column may belong to; none if the columns of one are unknown."""
        visible_tables = list(_visible_tables(column, catalog))
        if self.own is not None:
            visible_tables.append((self.own.name, self.own))
        tables = []
        for name, info in visible_tables:
            if column.table and name.lower() != column.table.lower():
                continue
            if info is None:
                return []
            tables.append(info)
        return tables

    def _full_name(self, info: TableInfo) -> str:
        return ".".join(part for part in (self.source, info.schema, info.name) if part)


def quoted(message: str, text: str) -> re.Match[str] | None:
    """Return the match in the text of the word that a database's message is about.

    That is the first word that the message puts in quotes or behind a colon, else the first one
    that the text calls as a function.
    """
    for quoted_word, word_after_colon in re.findall(r"[\"'`]([^\"'`]+)[\"'`]|: ([\w.]+)", message):
        word = quoted_word or word_after_colon
        for name in (word, word.rpartition(".")[2]):
            if not name:
                continue
            match = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE)
            if match:
                return match
    for word in re.findall(r"\w+", message):
        match = re.search(rf"(?<!\w){word}(?=\s*\()", text, re.IGNORECASE)
        if match and word.lower() not in _KEYWORDS:
            return match
    return None


def _queries(column: "exp.Column") -> Iterator["exp.Select"]:
    """Yield the SELECTs around a column, from the inside out."""
    from sqlglot import exp

    node = column.parent
    while node is not None:
        if isinstance(node, exp.Select):
            yield node
        node = node.parent


def _visible_tables(
    column: "exp.Column", catalog: _Catalog
) -> Iterator[tuple[str, TableInfo | None]]:
    """Yield what the SELECTs around a column read, by name; None where the columns are unknown."""
    from sqlglot import exp

    for query in _queries(column):
        from_clause = query.args.get("from_") or query.args.get("from")
        joins = query.args.get("joins") or []
        for clause in (from_clause, *joins):
            source = clause.this if clause is not None else None
            if source is None:
                continue
            info = catalog.get(id(source)) if isinstance(source, exp.Table) else None
            yield source.alias_or_name, info


def _error_at(word: "exp.Identifier", message: str, hint: str) -> SqlError:
    start, end = int(word.meta.get("start", 0)), int(word.meta.get("end", 0))
    return SqlError(start, end - start + 1, message, hint)
