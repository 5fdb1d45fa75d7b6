"""What is planned: how each rule will be evaluated, and which rules share statements.

Plain frozen values. The planner makes them, the executor works through them.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import ColumnElement

from sanityd.checks.base import RowCheck
from sanityd.checks.chunks import chunks
from sanityd.checks.conditions import violating_row
from sanityd.checks.invariant import Invariant
from sanityd.checks.scope import Scope
from sanityd.errors import CheckError
from sanityd.model import Key, Measurements, UnchangedState, Value
from sanityd.sources.base import Snapshot

if TYPE_CHECKING:
    from sanityd.checks.forms.base import Form

#: How many rules one scan answers at most.
RULES_PER_SCAN = 50
#: Returns the snapshot of another source by its name. Raises SourceError when it doesn't answer.
Elsewhere = Callable[[str], Snapshot]


@dataclass(frozen=True, slots=True)
class PriorState:
    """What earlier runs recorded, by rule."""

    #: The open violations, by fingerprint: a run must say what became of each of them.
    open_keys: Mapping[str, Mapping[str, Key]] = field(default_factory=dict)
    #: Earlier measured values, for rules that compare with them.
    past: Mapping[str, Measurements] = field(default_factory=dict)
    #: The rules whose rows are to be read even where a constraint proves them.
    audited: Collection[str] = ()
    #: The value from which on rows are new, for rules that may read new rows only.
    since: Mapping[str, Value] = field(default_factory=dict)
    #: What rules that held recorded, and the state of the tables at that time.
    unchanged: Mapping[str, UnchangedState] = field(default_factory=dict)


NOTHING = PriorState()


@dataclass(frozen=True, slots=True)
class PlannedCheck:
    """One rule, ready to be evaluated in one snapshot."""

    invariant: Invariant
    #: How rules of this form are evaluated.
    form: "Form[Any]"
    scope: Scope
    #: The columns that identify a violation.
    key: tuple[str, ...]
    #: The scope of the other table, where that is read by statements of its own.
    other: Scope | None = None
    #: The open violations, by fingerprint.
    open_keys: Mapping[str, Key] = field(default_factory=dict)
    #: Earlier measured values, for rules that compare with them.
    past: Measurements = ()
    #: The constraint that proves the rule, and whether to read the rows all the same.
    proof: str | None = None
    audited: bool = False
    #: The value from which on rows will be new for the next run, of a rule that scans new rows.
    newest: Value = None
    #: The scope of the new rows, if it is enough to read these now.
    new_rows: Scope | None = None
    #: The state of the tables, where the rule depends on nothing else; and what the rule
    #: recorded in the same state.
    state: str | None = None
    unchanged: UnchangedState | None = None

    @property
    def rule(self) -> str:
        """The id of the rule."""
        return self.invariant.id

    @property
    def reads_alone(self) -> bool:
        """Whether no other rule can share its statement."""
        return self.form.reads_alone(self.invariant)

    @property
    def needs_main_thread(self) -> bool:
        """Whether it uses more than its own snapshot: another source, or code of the user."""
        return self.other is not None or self.form.runs_user_code

    @property
    def counts_apart(self) -> bool:
        """Whether it measures a part of the rows, so that its counts need a statement of its own.

        Rules about all rows, and rules about the same rows, are counted by one statement.
        """
        return self.form.has_measures(self) and not self.scope.is_whole

    @property
    def on_new_rows(self) -> "PlannedCheck":
        """The same check about new rows only, if that is enough; else the check itself."""
        if self.new_rows is None:
            return self
        return replace(self, scope=self.new_rows, new_rows=None)

    @property
    def violating(self) -> ColumnElement[bool]:
        """The condition of a violating row in scope. Only of forms with `scans_rows`."""
        return violating_row(cast("RowCheck", self.invariant.check), self.scope)

    @property
    def table_and_window(self) -> object:
        """What rules must have in common to be read together.

        The window counts, as rows that an index finds are not read together with others.
        """
        subject = self.invariant.subject
        return subject.table, subject.window, self.new_rows and self.new_rows.newer


@dataclass(frozen=True, slots=True)
class Plan:
    """The planned checks, in order, and why the other rules can't be planned."""

    checks: tuple[PlannedCheck, ...]
    refused: dict[str, CheckError] = field(default_factory=dict)

    def units(self, trusted: Collection[str] = ()) -> list[tuple[PlannedCheck, ...]]:
        """The checks that are answered by the same statements, the largest groups first.

        Parameters: `trusted` are the rules whose rows are not read, as a constraint proves them.
        """
        groups: dict[object, list[PlannedCheck]] = {}
        for planned in self.checks:
            alone = planned.reads_alone or planned.rule in trusted
            group = planned.rule if alone else planned.table_and_window
            groups.setdefault(group, []).append(planned)
        units: list[tuple[PlannedCheck, ...]] = []
        for members in groups.values():
            units.extend(chunks(members, RULES_PER_SCAN))
        return sorted(units, key=len, reverse=True)

    def counted(self, trusted: Collection[str] = ()) -> list[tuple[PlannedCheck, ...]]:
        """The checks whose rows in scope are counted by the same statement."""
        groups: dict[object, list[PlannedCheck]] = {}
        for planned in self.checks:
            if planned.rule in trusted or not _counts_all_rows(planned):
                continue
            extent = planned.scope.extent if planned.counts_apart else None
            groups.setdefault((planned.table_and_window, extent), []).append(planned)
        return [tuple(members) for members in groups.values()]


def _counts_all_rows(planned: PlannedCheck) -> bool:
    has_table = bool(planned.scope.info.name)
    return planned.form.counts_rows and has_table and planned.new_rows is None
