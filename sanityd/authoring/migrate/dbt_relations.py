"""The tables that `ref('x')` and `source('a', 'b')` mean in dbt's files."""

import re
from dataclasses import dataclass

from sanityd.authoring.migrate.dbt_config import has_jinja
from sanityd.authoring.migrate.foreign_yaml import YamlNode
from sanityd.authoring.migrate.import_result import UnsupportedCheck
from sanityd.authoring.migrate.sql_text import quote_table

#: The keys of a properties file whose entries are tables that dbt makes.
RESOURCES = ("models", "seeds", "snapshots")
_RELATION = re.compile(
    r"""
    \s* (?:\{\{)? \s*
    (?P<function>ref|source) \s* \( \s*
    (['"]) (?P<first>.+?) \2 \s*
    (?: , \s* (['"]) (?P<second>.+?) \4 \s* )?
    \) \s* (?:\}\})? \s*
    """,
    re.VERBOSE,
)
_TARGET_SCHEMA = re.compile(r"\{\{\s*target\.(schema|dataset)\s*\}\}")
_COLUMN_NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_$]*|"[^"]+"|`[^`]+`')


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, as rules name it (`app.shop.people`) and as SQL does (`shop.people`)."""

    name: str
    sql: str

    @property
    def short_name(self) -> str:
        """The name without source and schema."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class _UnknownRelation:
    """A table whose name the files do not tell, and why."""

    reason: str


_Entry = Relation | _UnknownRelation


def is_relation(text: str) -> bool:
    """Tell whether a text is `ref('x')` or `source('a', 'b')`, in braces or not."""
    return _RELATION.fullmatch(text) is not None


def read_column_name(text: str) -> str:
    """Return the name of a column, without quotes. Raises UnsupportedCheck for an expression."""
    if not _COLUMN_NAME.fullmatch(text):
        raise UnsupportedCheck(f"`{text}` is an expression, not a column")
    return text.strip('"`')


class Relations:
    """The tables of models and sources, as far as files say something about them."""

    def __init__(self, source: str) -> None:
        #: The name of the database in the rules file.
        self.source = source
        self._models: dict[str, _Entry] = {}
        self._tables: dict[tuple[str, str], _Entry] = {}
        #: The schema of each of dbt's sources; None for that of the connection.
        self._schemas: dict[str, str | None] = {}

    def add_file(self, root: YamlNode) -> None:
        """Add the models and sources of a properties file."""
        for kind in RESOURCES:
            for node in root.mappings(kind):
                self._models[node.text("name") or ""] = self._read_model(node)
        for node in root.mappings("sources"):
            self._add_source(node)

    def _read_model(self, node: YamlNode) -> _Entry:
        name = node.text("name") or ""
        config = node.get("config") or node
        alias = node.text("alias") or config.text("alias") or name
        if node.get("versions"):
            return _UnknownRelation("it has versions, and which one is meant is not in the file")
        return self._relation(None, alias)

    def _add_source(self, node: YamlNode) -> None:
        name = node.text("name") or ""
        schema: str | None = node.text("schema") or name
        if _TARGET_SCHEMA.fullmatch(schema or ""):
            schema = None
        self._schemas[name] = schema
        for table in node.mappings("tables"):
            table_name = table.text("name") or ""
            identifier = table.text("identifier") or table_name
            self._tables[name, table_name] = self._relation(schema, identifier)

    def model(self, name: str) -> Relation:
        """Return the table of a model, seed or snapshot.

        Raises UnsupportedCheck when the files do not tell its name.
        """
        return _checked(self._models.get(name) or self._relation(None, name))

    def table(self, source: str, name: str) -> Relation:
        """Return a table of one of dbt's sources.

        Without an entry in the files, the schema has the source's name, as is dbt's default.
        Raises UnsupportedCheck when the files do not tell its name.
        """
        schema = self._schemas.get(source, source)
        return _checked(self._tables.get((source, name)) or self._relation(schema, name))

    def find(self, text: str) -> Relation:
        """Return the table of `ref('x')`, `ref('package', 'x')` or `source('a', 'b')`.

        Raises UnsupportedCheck for anything else.
        """
        match = _RELATION.fullmatch(text)
        if match is None:
            raise UnsupportedCheck(f"`{text}` is neither ref('…') nor source('…', '…')")
        first, second = match["first"], match["second"]
        if match["function"] == "ref":
            return self.model(second or first)
        if second is None:
            raise UnsupportedCheck(f"`{text}` names no table")
        return self.table(first, second)

    def _relation(self, schema: str | None, name: str) -> _Entry:
        for part in (schema or "", name):
            if has_jinja(part):
                return _UnknownRelation(
                    f"the table's name is Jinja (`{part}`), which dbt alone can evaluate"
                )
        if not name or "." in name or "." in (schema or ""):
            return _UnknownRelation(f"`{name}` is no name of a table")
        parts = [schema, name] if schema else [name]
        return Relation(".".join([self.source, *parts]), quote_table(parts))


def _checked(entry: _Entry) -> Relation:
    if isinstance(entry, _UnknownRelation):
        raise UnsupportedCheck(entry.reason)
    return entry
