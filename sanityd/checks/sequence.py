"""Rows in an order, each with the value of the row before it in its group."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import Field
from sqlalchemy import ColumnElement, case, func, select

from sanityd.checks.base import IN_SCOPE, QueryCheck, Scope
from sanityd.model.option_types import Names
from sanityd.sources.base import AnySelect

VALUE, PREVIOUS, RECENT = "sanityd_value", "sanityd_previous", "sanityd_recent"


def partition(scope: Scope, per: Iterable[str]) -> list[ColumnElement[Any]] | None:
    """The expressions that make a group, compared exactly; None for one group of all rows."""
    return [scope.exact(name) for name in per] or None


class RowsOfTable(QueryCheck):
    """A SELECT of rows of the rule's own table, whose resolution can be looked up by key."""

    def key(self, scope: Scope) -> tuple[str, ...]:
        """The table's key, as for a condition on one row."""
        return scope.key

    def population(self, scope: Scope) -> AnySelect | None:
        """All rows."""
        keys = (scope.column(name).label(name) for name in scope.key)
        return select(*keys, case((scope.rows, 1), else_=0).label(IN_SCOPE)).select_from(
            scope.table
        )


class SequenceCheck(RowsOfTable):
    """The value of each row is judged by that of the row before it.

    Rows with a NULL in the value or in the order are skipped.
    """

    column: str = Field(min_length=1, description="The column whose values are followed.")
    per: Names = Field(
        [], description="The columns that make a group; each has a sequence of its own."
    )
    order_by: Names = Field(min_length=1, description="The columns that say which row comes first.")

    def value(self, scope: Scope) -> ColumnElement[Any]:
        """What is compared."""
        return scope.exact(self.column)

    @abstractmethod
    def is_wrong(
        self, value: ColumnElement[Any], previous: ColumnElement[Any]
    ) -> ColumnElement[bool]:
        """True for a value that must not follow the previous one.

        The previous value is NULL for the first row of a group.
        """

    def always_shown(self) -> Iterable[str]:
        """The columns that a violation shows besides its key and those of `show`."""
        return ()

    def description(
        self, value: ColumnElement[Any], previous: ColumnElement[Any]
    ) -> Sequence[ColumnElement[Any]]:
        """The columns of `describing`."""
        del value, previous
        return ()

    def violations(self, scope: Scope) -> AnySelect:
        """The rows that are wrong after the one before them, which may lie before the window."""
        order: Sequence[ColumnElement[Any]] = [
            scope.column(name) for name in (*self.order_by, *scope.key)
        ]
        value = self.value(scope)
        before = func.lag(value).over(partition_by=partition(scope, self.per), order_by=order)
        names = dict.fromkeys((*scope.key, *scope.subject.show, *self.always_shown()))
        is_ordered = scope.not_null((self.column, *self.order_by))
        rows = (
            select(
                *(scope.column(name).label(name) for name in names),
                value.label(VALUE),
                before.label(PREVIOUS),
                case((scope.in_window, 1), else_=0).label(RECENT),
            )
            .select_from(scope.table)
            .where(scope.judged, is_ordered)
            .subquery("in_order")
        )
        wrong = self.is_wrong(rows.c[VALUE], rows.c[PREVIOUS])
        described = self.description(rows.c[VALUE], rows.c[PREVIOUS])
        columns = (rows.c[name] for name in names)
        return select(*columns, *described).where(wrong, rows.c[RECENT] == 1)
