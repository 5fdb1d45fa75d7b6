"""The interface to a database's constraints: statements to run by hand, or why there are none."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from sanityd.sources.catalog import TableInfo


@dataclass(frozen=True, slots=True)
class Constraint:
    """The statements that make the database enforce a rule.

    `statements` is empty where the constraint can't be added to the table. `advice` says what the
    statements cost, or why there are none. `proves` tells whether sanityd trusts the constraint
    afterwards, and no longer checks the rule. `reverse` undoes the statements.
    """

    statements: tuple[str, ...]
    advice: str
    proves: bool = True
    reverse: tuple[str, ...] = ()


_NO_EXCLUDE = (
    "No constraint of this database can say it: lock the group first (a row of its own, with"
    " SELECT … FOR UPDATE), look for an overlap, and insert in the same transaction."
)


@dataclass(frozen=True, slots=True)
class FoldedColumn:
    """A column that is compared without regard to case or spaces, or as it is.

    `sql` is how the rule compares it, `name` the column.
    """

    name: str
    sql: str
    ignore: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ConstraintRequest:
    """The parts of a constraint.

    `table` and `name` (of the constraint) are quoted for SQL; `quoted` maps column names to their
    quoted form; `info` is the table in the catalog.
    """

    table: str
    info: TableInfo
    name: str
    quoted: Mapping[str, str]

    def folded(self, column: FoldedColumn) -> str:
        """Return the expression of a column in plain SQL: `lower(trim(name))`."""
        expression = self.quoted[column.name]
        if "spaces" in column.ignore:
            expression = f"trim({expression})"
        if "case" in column.ignore:
            expression = f"lower({expression})"
        return expression

    def columns(self, names: Sequence[str]) -> str:
        """Return a comma-separated list of quoted columns."""
        return ", ".join(self.quoted[name] for name in names)


class Ddl(ABC):
    """The constraints of one database. Each method returns the constraint for one kind of rule."""

    #: Whether it has types of ranges, and constraints that exclude overlaps.
    has_ranges: ClassVar[bool] = False

    @abstractmethod
    def not_null(self, request: ConstraintRequest, columns: Sequence[str]) -> Constraint:
        """Return a constraint by which the columns are never NULL."""

    @abstractmethod
    def unique(
        self, request: ConstraintRequest, columns: Sequence[str], where: str | None
    ) -> Constraint:
        """Return a constraint by which the columns are unique in the rows that `where` selects."""

    @abstractmethod
    def unique_folded(
        self, request: ConstraintRequest, columns: Sequence[FoldedColumn]
    ) -> Constraint:
        """Return a constraint by which the columns are unique though case or spaces differ."""

    def exclude(self, request: ConstraintRequest, definition: str, groups: bool) -> Constraint:
        """Return a constraint by which intervals don't overlap; `groups` says whether per group."""
        del request, definition, groups
        return impossible(_NO_EXCLUDE)

    @abstractmethod
    def reference(
        self, request: ConstraintRequest, columns: Sequence[str], target: str, key: Sequence[str]
    ) -> Constraint:
        """Return a foreign key to the key of a target table; `target` and `key` are quoted."""

    @abstractmethod
    def check(self, request: ConstraintRequest, condition: str) -> Constraint:
        """Return a constraint by which the condition is false in no row."""


def impossible(reason: str) -> Constraint:
    """Return the reason why no constraint can be added."""
    return Constraint((), reason, proves=False)
