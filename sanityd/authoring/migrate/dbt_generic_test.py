"""A generic test of dbt, as the functions that map it to rules see it.

They ask for arguments by name. An argument that none of them asked for has no counterpart, so that
the test is not imported.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sanityd.authoring.migrate.dbt_relations import Relation, read_column_name
from sanityd.authoring.migrate.import_result import ImportedRule, UnsupportedCheck
from sanityd.authoring.migrate.plain_data import Number, read_optional_number


@dataclass(slots=True)
class GenericTest:
    """A generic test.

    Parameters: `column` is None for a test of the whole table; `find_relation` reads `ref('x')`
    and `source('a', 'b')`; `where` is the SQL condition of the test's `config`.
    """

    table: Relation
    column: str | None
    arguments: Mapping[str, Any]
    find_relation: Callable[[str], Relation]
    where: str | None = None
    used_names: set[str] = field(default_factory=set)

    def argument(self, *names: str, default: Any = None) -> Any:
        """Return the value of an argument, by any of its names."""
        self.used_names.update(names)
        for name in names:
            value = self.arguments.get(name)
            if value is not None:
                return value
        return default

    def required_argument(self, name: str) -> Any:
        """Return the value of an argument. Raises UnsupportedCheck when it is missing."""
        value = self.argument(name)
        if value is None:
            raise UnsupportedCheck(f"the argument `{name}` is missing")
        return value

    def number_argument(self, name: str) -> Number | None:
        """Return the number in an argument; None when it is missing."""
        return read_optional_number(self.argument(name))

    def relation_argument(self, name: str) -> Relation:
        """Return the table that an argument names."""
        return self.find_relation(str(self.required_argument(name)))

    def column_argument(self, name: str) -> str:
        """Return the column that an argument names."""
        return read_column_name(str(self.required_argument(name)))

    def columns_argument(self, *names: str) -> list[str]:
        """Return the columns that an argument lists; none when it is missing."""
        value = self.argument(*names, default=[])
        parts = value if isinstance(value, list) else str(value).split(",")
        return [read_column_name(str(part).strip()) for part in parts]

    def tested_column(self) -> str:
        """Return the column that the test is about. Raises UnsupportedCheck without one."""
        self.used_names.add("column_name")
        if self.column is None:
            raise UnsupportedCheck("it names no column")
        return self.column

    def row_condition(self) -> dict[str, str]:
        """Return the argument `row_condition` as the rule's key `where`."""
        condition = self.argument("row_condition")
        if not condition:
            return {}
        return {"where": str(condition)}

    def filtered_table(self) -> str:
        """Return the table in SQL, restricted to the rows of `where`."""
        if self.where:
            return f"(select * from {self.table.sql} where {self.where}) as judged"
        return self.table.sql

    def title(self, columns: str | list[str], words: str) -> str:
        """Return the title of a rule, such as `email of people is unique`."""
        if isinstance(columns, list):
            columns = " and ".join(columns)
        return f"{columns} of {self.table.short_name} {words}"

    def unused_arguments(self) -> list[str]:
        """Return the names of the arguments that were not asked for."""
        return [name for name in self.arguments if name not in self.used_names]


#: A function that maps a generic test to rules. Raises UnsupportedCheck.
TestMapping = Callable[[GenericTest], list[ImportedRule]]
