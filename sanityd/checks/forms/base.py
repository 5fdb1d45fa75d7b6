"""The contract of a form: one way to evaluate checks, which several kinds share.

A kind says what must hold, a form how that is planned, evaluated and explained. Forms have no
state: all that they need is in the `PlannedCheck`.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar, cast

from sqlalchemy import ColumnElement

from sanityd.checks.base import Check
from sanityd.checks.counts import SharedCounts
from sanityd.checks.findings import Evaluation
from sanityd.checks.invariant import Invariant
from sanityd.checks.plan import PlannedCheck
from sanityd.checks.plan_reader import PlanReader
from sanityd.checks.plan_step import PlanStep
from sanityd.checks.scope import Scope
from sanityd.checks.table_contents import TableContents
from sanityd.errors import CheckError
from sanityd.model import Key, Resolution, Violation
from sanityd.sources.base import AnySelect

CheckT = TypeVar("CheckT", bound=Check)


@dataclass(frozen=True, slots=True)
class PlannedScopes:
    """The rows that a rule is about, and the columns that identify a violation."""

    scope: Scope
    key: tuple[str, ...]
    #: The rows of the other table, where they are read by statements of their own.
    other: Scope | None = None


class Form(ABC, Generic[CheckT]):
    """How checks of one form are planned, evaluated, checked again by key, and explained."""

    #: Whether the rows in scope are counted.
    counts_rows: ClassVar[bool] = True
    #: Whether a violation is a row that meets the condition `PlannedCheck.violating`.
    scans_rows: ClassVar[bool] = False
    #: Whether code of the user runs, which must not run in a second thread.
    runs_user_code: ClassVar[bool] = False
    #: The resolution of violations that are gone, of checks without a population.
    resolution_without_population: ClassVar[Resolution] = Resolution.NOT_RETURNED
    #: The resolution of violations whose key is not in the population any more.
    resolution_outside_population: ClassVar[Resolution] = Resolution.ROW_GONE

    # Planning

    def across(self, invariant: Invariant) -> "Form[Any]":
        """The form of a rule whose other table is in another source.

        Raises CheckError when checks of this form can't read another source.
        """
        raise CheckError(f"`{invariant.kind}` can't be compared with another source")

    @abstractmethod
    def plan(self, invariant: Invariant, reader: PlanReader) -> PlannedScopes:
        """The rows that a rule is about. Raises CheckError when it names what doesn't exist."""

    def proof(self, invariant: Invariant, scopes: PlannedScopes, reader: PlanReader) -> str | None:
        """The constraint that proves the rule, so that no row need be read; None for none."""
        del reader
        return invariant.check.proof(scopes.scope)

    def reads_alone(self, invariant: Invariant) -> bool:
        """Whether no other rule can share the statement."""
        del invariant
        return True

    # Evaluating

    @abstractmethod
    def evaluate(self, planned: PlannedCheck, counts: SharedCounts) -> Evaluation:
        """Read the rows. Raises CheckError when that fails, SourceError when the source is lost.

        Parameters: `counts` counts the rows in scope, maybe for several rules at once.
        """

    def evaluate_together(
        self,
        planned_checks: Sequence[PlannedCheck],
        open_keys: Mapping[str, Mapping[str, Key]],
        counts: SharedCounts | None,
    ) -> Iterator[tuple[PlannedCheck, Evaluation | CheckError]]:
        """The results of checks that share statements, in order. Raises SourceError.

        Parameters: `open_keys` are the open violations of each rule.
        """
        del open_keys
        for planned in planned_checks:
            yield planned, self.evaluate(planned, counts or SharedCounts([planned]))

    def evaluate_new_rows(
        self, planned: PlannedCheck, open_keys: Mapping[str, Key], contents: TableContents
    ) -> Evaluation | None:
        """Read new rows, and open violations by their keys; None when all rows must be read."""
        del planned, open_keys, contents
        return None

    def has_measures(self, planned: PlannedCheck) -> bool:
        """Whether values of the rows in scope are measured, besides their number."""
        del planned
        return False

    def measures(self, planned: PlannedCheck) -> Mapping[str, ColumnElement[Any]]:
        """The expressions that are measured by the statement that counts the rows."""
        del planned
        return {}

    # Violations of earlier runs

    def recheck(self, planned: PlannedCheck, keys: Sequence[Key]) -> Sequence[Violation]:
        """Those of the keys that still violate. Parameters: `keys` are at most one chunk."""
        del planned, keys
        return []

    def population(self, planned: PlannedCheck) -> AnySelect | None:
        """A SELECT of all keys, violating or not, and whether each is `IN_SCOPE`.

        None when the check can't tell.
        """
        del planned
        return None

    # Explaining

    @abstractmethod
    def explain(self, planned_checks: Sequence[PlannedCheck]) -> PlanStep | None:
        """The step that answers the rules, for `explain`; None when the counts answer them."""

    def build(self, planned: PlannedCheck) -> object:
        """Build the SQL of the check, and run nothing. Raises CheckError when it is wrong."""
        return self.measures(planned)

    def build_all(self, planned: PlannedCheck) -> None:
        """Build all SQL that evaluating may need, to find out which columns the check names."""
        self.build(planned)

    def statements(self, planned: PlannedCheck) -> Iterable[tuple[Scope, AnySelect]]:
        """Statements by which a database reads all SQL of the rule, for `lint --connect`."""
        del planned
        return ()

    def check_of(self, invariant: Invariant) -> CheckT:
        """The check of a rule, as the type that this form evaluates."""
        return cast("CheckT", invariant.check)


def shown_columns(planned: PlannedCheck) -> list[str]:
    """The columns that the rule shows besides its key."""
    return [name for name in planned.invariant.subject.show if name not in planned.key]


def name_columns(scope: Scope, names: Collection[str]) -> None:
    """Ask for each column. Raises CheckError, or collects it, when one doesn't exist."""
    for name in names:
        scope.column(name)
