"""The checks of Soda 4's contracts as rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sanityd.authoring.migrate.foreign_yaml import YamlNode
from sanityd.authoring.migrate.import_result import ImportedRule, UnsupportedCheck, source_name
from sanityd.authoring.migrate.plain_data import read_mapping
from sanityd.authoring.migrate.query_key import KEY_CHOSEN_NOTE, key_columns
from sanityd.authoring.migrate.soda_contract_settings import (
    VALIDITY_SETTINGS,
    is_percentage,
    read_max_ages,
    read_thresholds,
    read_validity,
)
from sanityd.authoring.migrate.soda_settings import TYPE_FAMILIES_NOTE, type_family
from sanityd.authoring.migrate.sql_text import quote_name, strip_semicolon
from sanityd.authoring.migrate.threshold_rules import (
    Threshold,
    freshness_rules,
    limit_violations,
    measure_rules,
    query_rules,
    row_count_rules,
)
from sanityd.authoring.migrate.thresholds import NO_VIOLATIONS, ValueRange
from sanityd.authoring.migrate.validity import invalid_rules, missing_rules

_SQL_OF_FUNCTION = {
    "avg": "avg({})",
    "sum": "sum({})",
    "min": "min({})",
    "max": "max({})",
    "minLength": "min(length({}))",
    "maxLength": "max(length({}))",
    "avgLength": "avg(length({}))",
}
_SURPLUS_NOTE = "Soda counts the rows too many, sanityd the keys that occur more than once."
#: Settings that do not change what a check checks.
_OTHER_SETTINGS = {"name", "qualifier", "attributes", "threshold", "filter"}
_NOT_EMPTY = ValueRange(low=0, low_open=True)


def source_of_dataset(dataset: str) -> str:
    """Return the data source of `source/database/schema/table` as the name of a source."""
    return source_name(dataset.partition("/")[0])


def table_of_dataset(dataset: str, source: str) -> str:
    """Return the table of `source/database/schema/table` as `source.schema.table`."""
    parts = dataset.split("/")[1:]
    return ".".join([source, *parts[-2:]])


@dataclass(frozen=True, slots=True)
class Dataset:
    """The dataset of a contract.

    Parameters: `source` is its name in the rules file, `data_source` the one in the contract.
    """

    table: str
    source: str
    data_source: str
    columns: Sequence[YamlNode]

    @property
    def short_name(self) -> str:
        """The table's name without source and schema."""
        return self.table.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class ContractCheck:
    """A check of a contract.

    Parameters: `body` are its settings, variables filled in; `column` is None for a check of the
    whole table.
    """

    kind: str
    body: Mapping[str, Any]
    dataset: Dataset
    column: YamlNode | None

    def rules(self) -> list[ImportedRule]:
        """Return the rules, without those keys that all checks can have.

        Raises UnsupportedCheck.
        """
        if self.kind == "schema":
            return [self._schema()]
        thresholds = read_thresholds(read_mapping(self.body, "threshold"))
        match self.kind:
            case "row_count":
                return self._row_count(thresholds)
            case "freshness":
                return self._freshness()
            case "failed_rows":
                return self._failed_rows(thresholds)
            case "metric":
                return self._metric(thresholds)
            case "duplicate":
                return self._duplicate(thresholds)
        return self._column_rules(thresholds)

    def _column_rules(self, thresholds: list[Threshold]) -> list[ImportedRule]:
        """Return the rules of a check that only a column can have."""
        column = self._column_name
        if column is not None and self.kind == "aggregate":
            return self._aggregate(column, thresholds)
        if column is not None and self.kind in ("missing", "invalid"):
            return self._validity(column, thresholds)
        raise UnsupportedCheck(f"`{self.kind}` has no counterpart")

    @property
    def _table(self) -> str:
        return self.dataset.short_name

    @property
    def _column_name(self) -> str | None:
        if self.column is None:
            return None
        return self.column.text("name")

    def _allow_settings(self, *names: str) -> None:
        """Raise UnsupportedCheck for a setting that this kind of check does not know."""
        for key in self.body:
            if key not in _OTHER_SETTINGS and key not in names:
                raise UnsupportedCheck(f"`{key}` has no counterpart")

    def _limit(self, rules: list[ImportedRule], thresholds: list[Threshold]) -> list[ImportedRule]:
        """Return the rules with the thresholds on their violations; by default none is allowed."""
        return limit_violations(
            rules,
            thresholds or [Threshold(NO_VIOLATIONS)],
            percent=is_percentage(read_mapping(self.body, "threshold")),
        )

    def _validity(self, column: str, thresholds: list[Threshold]) -> list[ImportedRule]:
        """Return the rules of `missing` and `invalid`."""
        self._allow_settings(*VALIDITY_SETTINGS)
        settings = read_validity(self.body, self.column)
        if self.kind == "missing":
            return self._limit(missing_rules(column, self._table, settings), thresholds)
        rules = []
        reference = read_mapping(settings, "valid reference data")
        if reference:
            del settings["valid reference data"]
            rules.append(self._reference(column, reference))
        if settings or not reference:
            rules += invalid_rules(column, self._table, settings)
        return self._limit(rules, thresholds)

    def _reference(self, column: str, reference: Mapping[str, Any]) -> ImportedRule:
        dataset, other_column = str(reference.get("dataset")), str(reference.get("column"))
        if source_of_dataset(dataset) != self.dataset.data_source:
            raise UnsupportedCheck(
                "the reference data is in another data source: write `references` yourself"
            )
        other_table = table_of_dataset(dataset, self.dataset.source)
        title = f"{column} of {self._table} exists in {other_table.rpartition('.')[2]}"
        return ImportedRule(title, "references", {column: f"{other_table}.{other_column}"})

    def _row_count(self, thresholds: list[Threshold]) -> list[ImportedRule]:
        self._allow_settings()
        return row_count_rules(self._table, thresholds or [Threshold(_NOT_EMPTY)])

    def _duplicate(self, thresholds: list[Threshold]) -> list[ImportedRule]:
        self._allow_settings("columns")
        column = self._column_name
        if column:
            title = f"{column} of {self._table} is unique"
            rule = ImportedRule(title, "unique", column)
        else:
            rule = self._unique_columns()
        rules = []
        for limited in self._limit([rule], thresholds):
            has_ladder = isinstance(limited.keys.get("severity"), dict)
            rules.append(limited.with_notes(_SURPLUS_NOTE) if has_ladder else limited)
        return rules

    def _unique_columns(self) -> ImportedRule:
        columns = self.body.get("columns")
        names = [str(name) for name in columns] if isinstance(columns, list) else []
        if not names:
            raise UnsupportedCheck("it names no columns")
        title = f"{' and '.join(names)} of {self._table} is unique"
        note = "NULLs equal each other, as in Soda's check of several columns."
        options = {"columns": names, "nulls": "equal"}
        return ImportedRule(title, "unique", options, notes=(note,))

    def _aggregate(self, column: str, thresholds: list[Threshold]) -> list[ImportedRule]:
        self._allow_settings("function")
        function = str(self.body.get("function"))
        if function not in _SQL_OF_FUNCTION or not thresholds:
            raise UnsupportedCheck(
                f"the function `{function}` has no counterpart, or there is no threshold"
            )
        expression = _SQL_OF_FUNCTION[function].format(quote_name(column))
        title = f"{function} of {column} of {self._table} is right"
        return measure_rules(expression, title, thresholds)

    def _freshness(self) -> list[ImportedRule]:
        self._allow_settings("column")
        limits = read_max_ages(read_mapping(self.body, "threshold"))
        return freshness_rules(str(self.body.get("column")), self._table, limits)

    def _metric(self, thresholds: list[Threshold]) -> list[ImportedRule]:
        self._allow_settings("expression", "query")
        if not thresholds:
            raise UnsupportedCheck("it has no threshold")
        title = f"metric of {self._table}"
        query = self.body.get("query")
        if query:
            return query_rules(str(query), title, thresholds, self.dataset.source)
        return measure_rules(str(self.body.get("expression")).strip(), title, thresholds)

    def _failed_rows(self, thresholds: list[Threshold]) -> list[ImportedRule]:
        self._allow_settings("expression", "query")
        expression = self.body.get("expression")
        if expression:
            condition = " ".join(str(expression).split())
            title = f"{self._table} never {condition}"[:80]
            return self._limit([ImportedRule(title, "never", condition)], thresholds)
        sql = strip_semicolon(str(self.body.get("query") or ""))
        if not sql or is_percentage(read_mapping(self.body, "threshold")):
            raise UnsupportedCheck("of how many rows a query's are a share is not known here")
        title, keys = f"{self._table} has no failed rows", {"key": key_columns(sql)}
        rule = ImportedRule(title, "query", sql, keys, (KEY_CHOSEN_NOTE,))
        return self._limit([rule], thresholds)

    def _schema(self) -> ImportedRule:
        self._allow_settings("allow_extra_columns", "allow_other_column_order")
        types: dict[str, str] = {}
        for column in self.dataset.columns:
            if not column.is_true("optional"):
                types[column.text("name") or ""] = type_family(column.text("data_type"))
        options: dict[str, Any] = types
        if not self.body.get("allow_extra_columns"):
            if len(types) < len(self.dataset.columns):
                raise UnsupportedCheck(
                    "columns that may be there, and no others, have no counterpart"
                )
            options = {"columns": types, "extra": "fail"}
        title = f"{self._table} has its columns"
        rule = ImportedRule(title, "columns", options, notes=(TYPE_FAMILIES_NOTE,))
        if self.body.get("allow_other_column_order"):
            return rule
        return rule.with_notes("The order of columns is not checked.")
