"""Contracts of the Open Data Contract Standard (ODCS) 3.x: tables, relationships, service levels.

What a contract says about single columns is in `odcs_properties`, its entries `quality` in
`odcs_quality`.
"""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path

from sanityd.authoring.migrate import odcs_properties
from sanityd.authoring.migrate.foreign_yaml import YamlNode, error_at, read_yaml
from sanityd.authoring.migrate.import_result import (
    ImportedCheck,
    ImportedRule,
    ImportResult,
    UnsupportedCheck,
    source_name,
)
from sanityd.authoring.migrate.odcs_quality import quality_check
from sanityd.authoring.migrate.odcs_subject import QualitySubject, physical_name
from sanityd.authoring.migrate.plain_data import read_number
from sanityd.authoring.migrate.row_keys import add_row_keys, row_key_notes
from sanityd.authoring.migrate.sql_text import quote_table
from sanityd.authoring.migrate.threshold_rules import freshness_rules

#: Custom properties of an exported contract: the source of a table; all sources of the rules;
#: the rules that belong to no table.
SOURCE, SOURCES, RULES = "sanitydSource", "sanitydSources", "sanitydRules"
_SEVERAL_TABLES = "its columns are in several tables"
_UNITS = {
    "w": "w",
    "week": "w",
    "weeks": "w",
    "d": "d",
    "day": "d",
    "days": "d",
    "h": "h",
    "hr": "h",
    "hour": "h",
    "hours": "h",
    "m": "m",
    "min": "m",
    "minute": "m",
    "minutes": "m",
    "s": "s",
    "sec": "s",
    "second": "s",
    "seconds": "s",
}


def read(paths: Sequence[Path], source: str | None) -> ImportResult:
    """Read contracts.

    Parameters: `source` is the name of the database; by default that of the contract's first
    server, or `app`.
    """
    checks: list[ImportedCheck] = []
    notes: dict[str, None] = {}
    sources: dict[str, None] = {}
    for path in paths:
        contract = _OdcsContract(_read_root(path), source)
        contract_checks = sorted(contract.checks(), key=attrgetter("location.line"))
        if not contract.is_exported:
            # In an exported contract, the rules have their keys already.
            contract_checks = add_row_keys(contract_checks)
            notes.update(dict.fromkeys(row_key_notes(contract_checks)))
        checks += contract_checks
        sources.update(contract.sources)
    return ImportResult("odcs", tuple(checks), tuple(sources), tuple(notes))


def _read_root(path: Path) -> YamlNode:
    root = read_yaml(path)
    if not isinstance(root.value, dict) or root.text("kind") != "DataContract":
        raise error_at(root, "this is no data contract", "it says `kind: DataContract`")
    if not (root.text("apiVersion") or "").startswith("v3"):
        raise error_at(
            root.get("apiVersion") or root,
            "only version 3 of the standard is read",
            "convert the contract to `v3.1.0`",
        )
    return root


class _OdcsContract:
    """A contract. `is_exported`: it was written by `sanityd export`."""

    def __init__(self, root: YamlNode, source: str | None) -> None:
        self._root = root
        self._schema: str | None = None
        server_source = "app"
        servers = root.list("servers")
        if servers:
            server_source = source_name(servers[0].text("server", "id") or "")
            self._schema = servers[0].text("schema")
        self._source = source or server_source
        sources = _custom_property(root, SOURCES)
        rules = _custom_property(root, RULES)
        self.is_exported = sources is not None or rules is not None
        #: The names of the sources that the rules use, in their order.
        self.sources: dict[str, None] = {}
        if sources is not None:
            self.sources = dict.fromkeys([source_name(node.raw) for node in sources.list("value")])
        self._rules_without_table: Sequence[YamlNode] = ()
        if rules is not None:
            self._rules_without_table = rules.mappings("value")

    def checks(self) -> Iterator[ImportedCheck]:
        """Return what the contract says about tables, columns and service levels."""
        for node in self._root.list("schema"):
            yield from self._object_checks(node)
        for node in self._root.list("slaProperties"):
            yield self._service_level(node)
        for node in self._rules_without_table:
            subject = QualitySubject(self._source, self._source, "", is_exported=True)
            yield quality_check(node, subject)
        if not self.sources:
            self.sources[self._source] = None

    def _subject(self, node: YamlNode) -> QualitySubject:
        """Return the table of an object of the schema, and note its source as used."""
        custom_source = _custom_property(node, SOURCE)
        own_source = None if custom_source is None else custom_source.text("value")
        source = source_name(own_source) if own_source else self._source
        self.sources[source] = None
        parts = physical_name(node).split(".")[-2:]
        if len(parts) == 1 and self._schema:
            parts = [self._schema, *parts]
        physical_names: dict[str, str] = {}
        for column in node.list("properties"):
            name = column.text("physicalName")
            if name:
                physical_names[column.text("name") or ""] = name
        return QualitySubject(
            source,
            ".".join([source, *parts]),
            quote_table(parts),
            node.text("name") or "?",
            is_exported=own_source is not None,
            physical_names=physical_names,
        )

    def _column(self, path: str) -> tuple[QualitySubject, str]:
        """Return the table and column of a path such as `orders.id`.

        Raises UnsupportedCheck when the contract has no such table.
        """
        table_name, _, column_name = path.rpartition(".")
        table = _find_by_name(self._root.list("schema"), table_name)
        if table is None or not column_name:
            raise UnsupportedCheck(f"`{path}` is no column of a table of this contract")
        column = _find_by_name(table.list("properties"), column_name)
        physical = None if column is None else column.text("physicalName")
        return self._subject(table), physical or column_name

    def _object_checks(self, node: YamlNode) -> Iterator[ImportedCheck]:
        """Return the checks of a table and its columns."""
        subject, properties = self._subject(node), node.list("properties")
        if properties and not subject.is_exported:
            yield odcs_properties.columns_check(node, subject, properties)
        yield from odcs_properties.primary_key_checks(subject, properties)
        for relationship in node.list("relationships"):
            columns = [column.raw for column in relationship.list("from")]
            yield self._relationship(relationship, subject, columns)
        for quality in node.list("quality"):
            yield quality_check(quality, subject)
        for column in properties:
            yield from self._property_checks(column, subject)

    def _property_checks(self, node: YamlNode, table: QualitySubject) -> Iterator[ImportedCheck]:
        """Return the checks of a column."""
        subject = table.of_column(physical_name(node))
        if node.list("properties"):
            yield ImportedCheck(
                node.location,
                f"properties of {subject}",
                reason="columns inside of columns have no counterpart",
            )
        yield from odcs_properties.constraint_checks(node, subject)
        yield from odcs_properties.type_option_checks(node, subject)
        for relationship in node.list("relationships"):
            yield self._relationship(relationship, subject, [f"{table.name}.{node.text('name')}"])
        for quality in node.list("quality"):
            yield quality_check(quality, subject)

    def _relationship(
        self, node: YamlNode, subject: QualitySubject, columns: Sequence[str]
    ) -> ImportedCheck:
        """Return a foreign key of one or several columns. NULL in one of them passes, as in SQL."""
        name = f"relationship of {subject}"
        try:
            rule = self._foreign_key(node, subject, columns)
            return ImportedCheck(node.location, name, (subject.with_table(rule),))
        except UnsupportedCheck as error:
            return ImportedCheck(node.location, name, reason=str(error))

    def _foreign_key(
        self, node: YamlNode, subject: QualitySubject, columns: Sequence[str]
    ) -> ImportedRule:
        other_columns = [column.raw for column in node.list("to")]
        is_foreign_key = (node.text("type") or "foreignKey") == "foreignKey"
        if not is_foreign_key or not columns or len(columns) != len(other_columns):
            raise UnsupportedCheck(
                "it is no foreign key with as many columns on one side as on the other"
            )
        table, names = self._columns_of_one_table(columns)
        other_table, other_names = self._columns_of_one_table(other_columns)
        if table.table != subject.table:
            raise UnsupportedCheck(_SEVERAL_TABLES)
        options: dict[str, str] = {}
        for name, other_name in zip(names, other_names, strict=True):
            options[name] = f"{other_table.table}.{other_name}"
        title = f"{' and '.join(names)} of {subject.short_name} exists in {other_table.short_name}"
        return ImportedRule(title, "references", options)

    def _columns_of_one_table(self, paths: Sequence[str]) -> tuple[QualitySubject, list[str]]:
        """Return the table and the columns of paths such as `orders.id`.

        Raises UnsupportedCheck for columns of several tables.
        """
        pairs = [self._column(path) for path in paths]
        table = pairs[0][0]
        if any(other.table != table.table for other, _ in pairs):
            raise UnsupportedCheck(_SEVERAL_TABLES)
        return table, [column for _, column in pairs]

    def _service_level(self, node: YamlNode) -> ImportedCheck:
        """Return a service level; the only supported one is the age of the newest row."""
        name = f"slaProperties: {node.text('property') or '?'}"
        element = node.text("element") or self._root.text("slaDefaultElement")
        if element:
            name = f"{name} of {element}"
        try:
            rule = self._freshness(node, element)
            return ImportedCheck(node.location, name, (rule,))
        except UnsupportedCheck as error:
            return ImportedCheck(node.location, name, reason=str(error))

    def _freshness(self, node: YamlNode, element: str | None) -> ImportedRule:
        if (node.text("property") or "?").lower() not in ("latency", "ly", "freshness"):
            raise UnsupportedCheck("it is agreed upon, not looked up in a table")
        if element is None or "," in element:
            raise UnsupportedCheck("it names no column (`element: table.column`)")
        unit = _UNITS.get((node.text("unit") or "").lower())
        value = read_number(node.text("value") or "")
        if unit is None or not isinstance(value, int):
            raise UnsupportedCheck("its value and unit are no length of time")
        subject, column = self._column(element)
        [rule] = freshness_rules(column, subject.short_name, [(f"{value}{unit}", None)])
        return subject.with_table(rule)


def _custom_property(node: YamlNode, name: str) -> YamlNode | None:
    """Return the first entry of `customProperties` with this name."""
    for entry in node.list("customProperties"):
        if entry.text("property") == name:
            return entry
    return None


def _find_by_name(nodes: Sequence[YamlNode], name: str) -> YamlNode | None:
    for node in nodes:
        if node.text("name") == name:
            return node
    return None
