"""The `freshness` of dbt's sources, as rules."""

from collections.abc import Iterator, Sequence

from sanityd.authoring.migrate.dbt_arguments import to_duration
from sanityd.authoring.migrate.dbt_config import ResourceConfig, with_config
from sanityd.authoring.migrate.dbt_relations import Relation, Relations, read_column_name
from sanityd.authoring.migrate.foreign_yaml import YamlNode
from sanityd.authoring.migrate.import_result import (
    FailureUnit,
    ImportedCheck,
    ImportedRule,
    UnsupportedCheck,
)

#: The limits of dbt, and their severities here.
_LIMITS: dict[str, str | None] = {"warn_after": "warning", "error_after": None}


def read_freshness(
    source: YamlNode, table: YamlNode, relations: Relations, configs: Sequence[ResourceConfig]
) -> Iterator[ImportedCheck]:
    """Return the freshness check of a table, if it has one.

    Parameters: `configs` are those of the source and the table.
    """
    nodes = _nodes_by_precedence(source, table)
    freshness = _find_freshness(nodes)
    if freshness is None:
        return
    name = f"freshness of {source.text('name')}.{table.text('name')}"
    field = _first_text(nodes, "loaded_at_field")
    try:
        if _first_text(nodes, "loaded_at_query") is not None:
            raise UnsupportedCheck("its time is the result of `loaded_at_query`: write a `query`")
        settings = {str(node.plain_mapping().get("freshness")) for node in nodes}
        if len(settings - {"None"}) > 1:
            raise UnsupportedCheck(
                "dbt merges the `freshness` of the source into this one:"
                " write all of it at the table"
            )
        if field is None:
            raise UnsupportedCheck(
                "without `loaded_at_field` it asks the warehouse's own record of changes"
            )
        column = read_column_name(field)
        relation = relations.table(source.text("name") or "", table.text("name") or "")
        rules = tuple(_rules(freshness, column, relation, configs))
        if rules:
            yield ImportedCheck(freshness.location, name, rules)
    except UnsupportedCheck as error:
        yield ImportedCheck(freshness.location, name, reason=str(error))


def _nodes_by_precedence(source: YamlNode, table: YamlNode) -> list[YamlNode]:
    """Return the nodes that may have `freshness`: the first one that has it counts."""
    nodes: list[YamlNode] = []
    for node in (table, source):
        nodes.append(node)
        config = node.get("config")
        if config is not None:
            nodes.append(config)
    return nodes


def _find_freshness(nodes: Sequence[YamlNode]) -> YamlNode | None:
    """Return the first `freshness`; None without one, or where it is turned off by `null`."""
    for node in nodes:
        freshness = node.get("freshness")
        if freshness is not None:
            return freshness if isinstance(freshness.value, dict) else None
    return None


def _first_text(nodes: Sequence[YamlNode], name: str) -> str | None:
    """Return the first text below a key; None without one, or where it is turned off by `null`."""
    for node in nodes:
        if node.get(name) is not None:
            return node.text(name)
    return None


def _rules(
    freshness: YamlNode, column: str, relation: Relation, configs: Sequence[ResourceConfig]
) -> Iterator[ImportedRule]:
    """Return a rule for each limit: one to warn, one to fail."""
    for key, severity in _LIMITS.items():
        limit = freshness.get(key)
        count = None if limit is None else limit.text("count")
        if limit is None or not count:
            continue
        period = limit.text("period")
        age, note = to_duration(count, str(period).lower())
        plural = "" if count == "1" else "s"
        rule = ImportedRule(
            f"{relation.short_name} is younger than {count} {period}{plural}",
            "fresh",
            {column: age},
            {"table": relation.name},
            failure_unit=FailureUnit.TABLE,
        )
        condition = freshness.text("filter")
        config = {} if condition is None else {"where": condition}
        rule = with_config(rule, config, configs)
        yield rule.with_notes(note).with_keys(severity=severity)
