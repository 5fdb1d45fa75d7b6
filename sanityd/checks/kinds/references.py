"""`references`: every value exists in another table."""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Self

from pydantic import Field, model_validator
from sqlalchemy import ColumnElement, and_, or_

from sanityd.checks import proofs
from sanityd.checks.base import Requirement, RowCheck, Scope, plural
from sanityd.checks.kinds.has import belongs
from sanityd.model.option_types import option_error


class References(RowCheck):
    """Every value that is not NULL exists in another table.

    It replaces a foreign key where the database has none.

    ```yaml
    references: {person_id: people.id}
    references: {order_id: order_lines.order_id, line: order_lines.line}
    references: {columns: {person_id: people.id}, where: "deleted_at is null"}
    references: {"upper(country)": countries.code}
    ```

    Columns that refer to the same table make one composite reference, which passes when any of them
    is NULL (MATCH SIMPLE). In place of a column there may be a SQL expression over the columns of
    the rule's table. `where` restricts the rows that may be referred to.
    """

    kind: ClassVar[str] = "references"
    is_timeless: ClassVar[bool] = True
    short: ClassVar[str | None] = "columns"
    judges_nulls: ClassVar[bool] = True

    columns: Mapping[str, str] = Field(
        min_length=1,
        description="Each column, or SQL expression, with the `table.column` it points at.",
    )
    where: str | None = Field(
        None, description="A SQL condition that picks among the rows pointed at."
    )

    @model_validator(mode="after")
    def _names_table_and_column(self) -> Self:
        for target in self.columns.values():
            table, dot, column = target.rpartition(".")
            if not (table and dot and column):
                raise option_error(
                    f"`{target}` is not a column of a table",
                    "write `table.column`, as in `people.id`",
                    word=target,
                )
        return self

    def tables(self) -> Iterable[str]:
        """The tables pointed at."""
        return self._by_table()

    def sql(self) -> Iterable[str]:
        """The condition on the rows pointed at."""
        return () if self.where is None else (self.where,)

    def requirements(self) -> Sequence[Requirement]:
        """At least one row, in each table pointed at."""
        return [Requirement(on, table, self.where) for table, on in self._by_table().items()]

    def is_bad(self, scope: Scope) -> ColumnElement[bool]:
        """True for a row that points at nothing."""
        return or_(*(self._dangles(scope, table, on) for table, on in self._by_table().items()))

    def proof(self, scope: Scope) -> str | None:
        """A foreign key of each; for `nulls: fail` the columns mustn't be NULL either."""
        if self.where is not None:
            return None
        keys = [
            proofs.of_reference(scope.info, on, scope.other(table).info)
            for table, on in self._by_table().items()
        ]
        if scope.subject.nulls_fail:
            keys.append(proofs.of_not_null(scope.info, self.columns))
        return ", ".join(key for key in keys if key) if all(keys) else None

    def is_unknown(self, scope: Scope) -> ColumnElement[bool]:
        """True for a row that doesn't point anywhere."""
        return or_(*(scope.column(name).is_(None) for name in self.columns))

    def reasons(self, scope: Scope) -> Mapping[str, ColumnElement[bool]]:
        """Which of several references dangles."""
        by_table = self._by_table()
        if len(by_table) == 1:
            return {}
        return {
            f"not in {table}": self._dangles(scope, table, on) for table, on in by_table.items()
        }

    def says(self, count: int) -> str:
        """The end of the sentence."""
        targets = " or ".join(
            f"a value in {mine} that is in no {target}" for mine, target in self.columns.items()
        )
        return f"{plural(count, 'has', 'have')} {targets}"

    def _by_table(self) -> dict[str, dict[str, str]]:
        tables: dict[str, dict[str, str]] = {}
        for mine, target in self.columns.items():
            table, _, column = target.rpartition(".")
            tables.setdefault(table, {})[mine] = column
        return tables

    def _dangles(self, scope: Scope, table: str, on: Mapping[str, str]) -> ColumnElement[bool]:
        other = scope.other(table, self.where)
        has_key = scope.not_null(on)
        return and_(has_key, ~belongs(scope, other, on))
