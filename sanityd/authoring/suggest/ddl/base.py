"""The contract of a database's way to say constraints: statements to be run by a person, or why there are none."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sanityd.sources.catalog import TableInfo


@dataclass(frozen=True, slots=True)
class Constraint:
    """What would make the database itself see to a rule.

    `statements` are empty where it can't be added to the table; `advice` says what they cost, or why there are none.
    `proves` says whether sanityd takes the constraint at its word afterwards, and looks no more.
    """

    statements: tuple[str, ...]
    advice: str
    proves: bool = True


@dataclass(frozen=True, slots=True)
class ConstraintRequest:
    """The table as SQL names it, what the catalog says of it, and the name that the constraint gets, in quotes.

    `quoted` has the columns as they stand in SQL.
    """

    table: str
    info: TableInfo
    name: str
    quoted: Mapping[str, str]

    def columns(self, names: Sequence[str]) -> str:
        """A list of columns."""
        return ", ".join(self.quoted[name] for name in names)


class Ddl(ABC):
    """One database. Each method says how a rule of that meaning becomes a constraint."""

    @abstractmethod
    def not_null(self, wanted: ConstraintRequest, columns: Sequence[str]) -> Constraint:
        """The columns always have a value."""

    @abstractmethod
    def unique(
        self, wanted: ConstraintRequest, columns: Sequence[str], where: str | None
    ) -> Constraint:
        """No combination of values occurs twice, among the rows that `where` picks."""

    @abstractmethod
    def reference(
        self, wanted: ConstraintRequest, columns: Sequence[str], target: str, key: Sequence[str]
    ) -> Constraint:
        """The values exist in the target's key; `key` is in quotes already."""

    @abstractmethod
    def check(self, wanted: ConstraintRequest, condition: str) -> Constraint:
        """The condition is false in no row."""


def impossible(why: str) -> Constraint:
    """No constraint says the same."""
    return Constraint((), why, proves=False)
