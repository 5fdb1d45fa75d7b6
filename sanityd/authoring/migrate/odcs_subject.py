"""The table or column of a data contract that a check is about."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sanityd.authoring.migrate.foreign_yaml import YamlNode
from sanityd.authoring.migrate.import_result import ImportedRule
from sanityd.authoring.migrate.plain_data import one_line


@dataclass(frozen=True, slots=True)
class QualitySubject:
    """A table, or a column of it.

    Parameters: `table` is its name in rules, `sql` the one in SQL, `name` the one in the contract;
    `is_exported` tells that `sanityd export` wrote it; `physical_names` are the names in the
    database of those columns that have another name in the contract.
    """

    source: str
    table: str
    sql: str
    name: str = ""
    column: str = ""
    is_exported: bool = False
    physical_names: Mapping[str, str] = field(default_factory=dict)

    @property
    def short_name(self) -> str:
        """The table's name without source and schema."""
        return self.table.rpartition(".")[2]

    def of_column(self, column: str) -> "QualitySubject":
        """Return a column of the table."""
        return replace(self, column=column)

    def title(self, words: str) -> str:
        """Return the title of a rule about the column."""
        return f"{self.column} of {self.short_name} {words}"

    def with_table(self, rule: ImportedRule, *, why: str | None = None) -> ImportedRule:
        """Return the rule with its table, or source, unless it has one; and with its `why`."""
        if "table" not in rule.keys and "source" not in rule.keys:
            if rule.kind in ("query", "python"):
                rule = rule.with_keys(source=self.source)
            else:
                rule = rule.with_keys(table=self.table)
        if why:
            rule = rule.with_keys(why=one_line(why))
        return rule

    def __str__(self) -> str:
        """Return the table, or `table.column`."""
        if self.column:
            return f"{self.short_name}.{self.column}"
        return self.short_name


def physical_name(node: YamlNode) -> str:
    """Return the name in the database of a table or column of the schema."""
    return node.text("physicalName") or node.text("name") or "?"
