"""`acyclic`: no row is its own ancestor."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator
from sqlalchemy import case, select

from sanityd.checks.base import IN_SCOPE, QueryCheck, Scope, plural
from sanityd.model.option_types import option_error
from sanityd.sources.base import AnySelect


class Acyclic(QueryCheck):
    """No row is its own ancestor. Each row of a cycle is a violation.

    ```yaml
    acyclic: {id: parent_id}
    ```

    The first column identifies a row, the second names its parent. Only rows in scope are followed
    as ancestors.
    """

    kind: ClassVar[str] = "acyclic"
    short: ClassVar[str | None] = "columns"
    showable: ClassVar[tuple[str, ...] | None] = ()

    columns: Mapping[str, str] = Field(
        description="The column that names a row, with the one that names its parent."
    )

    @model_validator(mode="after")
    def _is_one_pair(self) -> Self:
        if len(self.columns) != 1:
            raise option_error(
                "needs exactly one pair of columns", "write `acyclic: {id: parent_id}`"
            )
        return self

    def key(self, scope: Scope) -> tuple[str, ...]:
        """The column that names a row."""
        return tuple(self.columns)

    def violations(self, scope: Scope) -> AnySelect:
        """The rows that are their own ancestors.

        UNION makes each pair of row and ancestor once, so that a cycle ends the recursion.
        """
        [(name, parent)] = self.columns.items()
        edges = (
            select(scope.exact(name).label("child"), scope.exact(parent).label("parent"))
            .select_from(scope.table)
            .where(scope.rows, scope.column(parent).is_not(None))
            .subquery("edges")
        )
        walk = select(edges.c.child.label("start"), edges.c.parent.label("at")).cte(
            "walk", recursive=True
        )
        up: Any = edges.alias("up")
        walk = walk.union(
            select(walk.c.start, up.c.parent).select_from(walk.join(up, up.c.child == walk.c.at))
        )
        return select(walk.c.start.label(name)).where(walk.c.start == walk.c.at)

    def population(self, scope: Scope) -> AnySelect | None:
        """All rows."""
        names = (scope.exact(name).label(name) for name in self.columns)
        return select(*names, case((scope.rows, 1), else_=0).label(IN_SCOPE)).select_from(
            scope.table
        )

    def says(self, count: int) -> str:
        """The end of the sentence."""
        return plural(count, "is its own ancestor", "are their own ancestors")
