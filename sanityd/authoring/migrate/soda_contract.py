"""Contracts of Soda 4: one file for each dataset, with its columns and their checks.

The meaning of a check is in `soda_contract_checks`.
"""

from collections.abc import Iterator
from typing import Any

from sanityd.authoring.migrate.foreign_yaml import YamlNode, error_at
from sanityd.authoring.migrate.import_result import ImportedCheck, ImportedRule, UnsupportedCheck
from sanityd.authoring.migrate.plain_data import one_line, read_text
from sanityd.authoring.migrate.soda_contract_checks import (
    ContractCheck,
    Dataset,
    source_of_dataset,
    table_of_dataset,
)
from sanityd.authoring.migrate.soda_settings import (
    VARIABLE_NOTE,
    check_attributes,
    fill_variables,
    has_variable,
    with_attributes,
)


def source_of(root: YamlNode) -> str:
    """Return the name of the data source that the dataset is in."""
    return source_of_dataset(root.text("dataset") or "")


def read(root: YamlNode, source: str) -> Iterator[ImportedCheck]:
    """Return all checks of a contract. `source` is the name of the database."""
    name = root.text("dataset") or ""
    if "/" not in name or not all(name.split("/")):
        node = root.get("dataset") or root
        raise error_at(node, f"`{name[:60]}` is no dataset", "write `source/database/schema/table`")
    dataset = Dataset(table_of_dataset(name, source), source, source_of(root), root.list("columns"))
    contract = _SodaContract(root, dataset)
    for check in root.list("checks"):
        yield contract.read_check(check, None)
    for column in dataset.columns:
        for check in column.list("checks"):
            yield contract.read_check(check, column)


class _SodaContract:
    """A contract, with what applies to all of its checks."""

    def __init__(self, root: YamlNode, dataset: Dataset) -> None:
        self._dataset = dataset
        self._root = root
        self._schedule = _read_schedule(root)
        self._variables: dict[str, str] = {}
        for name, variable in root.mapping("variables").items():
            default = variable.text("default")
            if default:
                self._variables[name] = default

    def read_check(self, node: YamlNode, column: YamlNode | None) -> ImportedCheck:
        """Return a check of the table, or of a column, with its rules."""
        kind = str(node.raw)
        if isinstance(node.value, dict):
            kind = next(iter(node.value), "?")
        name = f"{kind} on {self._dataset.short_name}"
        column_name = None if column is None else column.text("name")
        if column_name:
            name = f"{name}.{column_name}"
        try:
            # `- missing:` with its settings at the same depth has several keys.
            if not isinstance(node.value, dict) or len(node.value) != 1:
                raise UnsupportedCheck(
                    "a check is one name with its settings below it; check the indentation"
                )
            body = node.value[kind].plain_mapping()
            return ImportedCheck(node.location, name, tuple(self._rules(kind, body, column)))
        except UnsupportedCheck as error:
            return ImportedCheck(node.location, name, reason=str(error))

    def _rules(
        self, kind: str, body: dict[str, Any], column: YamlNode | None
    ) -> Iterator[ImportedRule]:
        """Return the rules of a check, with everything that applies to all checks."""
        filters = [text for text in (self._root.text("filter"), body.get("filter")) if text]
        texts = [body, filters]
        body, filters = fill_variables(texts, self._variables)
        if "scope" in body:
            raise UnsupportedCheck("`scope` has no counterpart")
        attributes = check_attributes(body)
        description = None if column is None else column.text("description")
        check = ContractCheck(kind, body, self._dataset, column)
        for index, check_rule in enumerate(check.rules()):
            rule = with_attributes(check_rule, attributes)
            if has_variable(texts):
                rule = rule.with_notes(VARIABLE_NOTE)
            rule = rule.with_keys(schedule=self._schedule)
            rule = self._with_table(rule, filters)
            if description:
                rule = rule.with_keys(why=one_line(description))
            yield rule.with_custom_title(read_text(body, "name"), index)

    def _with_table(self, rule: ImportedRule, filters: list[Any]) -> ImportedRule:
        """Return the rule with its table and filters; a query has only a source."""
        if rule.kind == "query":
            return rule.with_keys(source=self._dataset.source)
        rule = rule.with_keys(table=self._dataset.table)
        if rule.kind == "columns":
            return rule
        for condition in filters:
            rule = rule.with_keys(where=one_line(str(condition)))
        return rule


def _read_schedule(root: YamlNode) -> str | None:
    """Return the schedule of a contract as a cron expression, perhaps with a time zone."""
    runner = root.get("soda_runner", "soda_agent")
    schedule = None if runner is None else runner.get("checks_schedule")
    if schedule is None:
        return None
    cron = schedule.text("cron")
    if not cron:
        return None
    return f"{cron} {schedule.text('timezone') or ''}".strip()
