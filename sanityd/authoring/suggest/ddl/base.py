"""The interface to a database's constraints: statements to run by hand, or why there are none."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sanityd.sources.catalog import TableInfo


@dataclass(frozen=True, slots=True)
class Constraint:
    """The statements that make the database enforce a rule.

    `statements` is empty where the constraint can't be added to the table. `advice` says what the
    statements cost, or why there are none. `proves` tells whether sanityd trusts the constraint
    afterwards, and no longer checks the rule.
    """

    statements: tuple[str, ...]
    advice: str
    proves: bool = True


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

    def columns(self, names: Sequence[str]) -> str:
        """Return a comma-separated list of quoted columns."""
        return ", ".join(self.quoted[name] for name in names)


class Ddl(ABC):
    """The constraints of one database. Each method returns the constraint for one kind of rule."""

    @abstractmethod
    def not_null(self, request: ConstraintRequest, columns: Sequence[str]) -> Constraint:
        """Return a constraint by which the columns are never NULL."""

    @abstractmethod
    def unique(
        self, request: ConstraintRequest, columns: Sequence[str], where: str | None
    ) -> Constraint:
        """Return a constraint by which the columns are unique in the rows that `where` selects."""

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
