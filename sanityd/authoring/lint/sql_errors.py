"""SQL that a database has refused → the words in it that name no table or column. Asks the catalog;
runs nothing.

Only refused SQL is looked at: whatever this file doesn't know of a dialect makes no mistake of what
is none.
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
#: What the catalog says of tables; None where it says nothing.
_Known = Mapping[int, TableInfo | None]


@dataclass(frozen=True, slots=True)
class Wrong:
    """A word of the SQL that is to blame: where it begins, how long it is, and what to say."""

    start: int
    length: int
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Refused:
    """SQL that a source refused, and what it said."""

    sql: str
    source: str
    #: sqlglot's name of the source's SQL.
    dialect: str
    answer: CheckError
    #: Gives what the catalog says of a table, by schema (or none) and name. Raises CheckError when
    #: there is none.
    tables: Callable[[str | None, str], TableInfo]
    #: The table that the SQL is a condition on; None for a whole SELECT.
    own: TableInfo | None = None

    def wrong(self) -> list[Wrong]:
        """What names nothing; where all names mean something, the word that the source's answer is
        about."""
        if found := sorted(set(self._names()), key=lambda wrong: wrong.start):
            return found
        if (word := quoted(self.answer.message, self.sql)) is None:
            return []
        hint = self.answer.hint if self.answer.has_advice else check_against(self.dialect)
        return [Wrong(word.start(), word.end() - word.start(), self.answer.message, hint)]

    def _names(self) -> Iterator[Wrong]:
        import sqlglot
        from sqlglot import exp
        from sqlglot.errors import SqlglotError

        try:
            tree = sqlglot.parse_one(
                self.sql, read=self.dialect, into=None if self.own is None else exp.Condition
            )
        except (SqlglotError, RecursionError):
            return
        named = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
        known: dict[int, TableInfo | None] = {}
        for table in tree.find_all(exp.Table):
            known[id(table)] = None
            if isinstance(table.this, exp.Identifier) and table.name.lower() not in named:
                try:
                    known[id(table)] = self.tables(table.db or None, table.name)
                except CheckError as error:
                    yield _wrong(table.this, error.message, error.hint)
        for column in tree.find_all(exp.Column):
            if isinstance(column.this, exp.Identifier):
                yield from self._column(column, known)

    def _column(self, column: "exp.Column", known: _Known) -> Iterator[Wrong]:
        """What is wrong with a column, if all that it may belong to is known."""
        reach = list(_in_reach(column, known))
        if self.own is not None:
            reach.append((self.own.name, self.own))
        if column.table:
            reach = [(name, info) for name, info in reach if name.lower() == column.table.lower()]
        tables = [info for _, info in reach if info is not None]
        if not tables or len(tables) < len(reach):
            return
        names = [name for info in tables for name in info.columns]
        aliases = (select.alias for query in _queries(column) for select in query.selects)
        if column.name.lower() in {str(name).lower() for name in (*names, *aliases)}:
            return
        where = " or ".join(dict.fromkeys(f"`{self._full(info)}`" for info in tables))
        yield _wrong(
            column.this, f"table {where} has no column `{column.name}`", instead(column.name, names)
        )

    def _full(self, info: TableInfo) -> str:
        return ".".join(part for part in (self.source, info.schema, info.name) if part)


def quoted(message: str, text: str) -> re.Match[str] | None:
    """The first word in a database's message that it marks as one, or calls a function, and that
    stands in the text."""
    for marked, bare in re.findall(r"[\"'`]([^\"'`]+)[\"'`]|: ([\w.]+)", message):
        word = marked or bare
        for name in (word, word.rpartition(".")[2]):
            if name and (
                found := re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE)
            ):
                return found
    for word in re.findall(r"\w+", message):
        found = re.search(rf"(?<!\w){word}(?=\s*\()", text, re.IGNORECASE)
        if found and word.lower() not in _KEYWORDS:
            return found
    return None


def _queries(column: "exp.Column") -> Iterator["exp.Select"]:
    """The SELECTs that a column stands in, from the inside out."""
    from sqlglot import exp

    node = column.parent
    while node is not None:
        if isinstance(node, exp.Select):
            yield node
        node = node.parent


def _in_reach(column: "exp.Column", known: _Known) -> Iterator[tuple[str, TableInfo | None]]:
    """What the SELECTs around a column read, by name; None where its columns aren't known."""
    from sqlglot import exp

    for query in _queries(column):
        for clause in (
            query.args.get("from_") or query.args.get("from"),
            *(query.args.get("joins") or []),
        ):
            source = clause.this if clause is not None else None
            if source is not None:
                yield (
                    source.alias_or_name,
                    known.get(id(source)) if isinstance(source, exp.Table) else None,
                )


def _wrong(word: "exp.Identifier", message: str, hint: str) -> Wrong:
    start, end = int(word.meta.get("start", 0)), int(word.meta.get("end", 0))
    return Wrong(start, end - start + 1, message, hint)
