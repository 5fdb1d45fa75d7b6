"""The results of `suggest`: proposals, and the rules that a rules file has already."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from sanityd.authoring.suggest.candidate_trial import Tried
from sanityd.authoring.suggest.profile import TableProfile
from sanityd.authoring.suggest.table_names import with_canonical_names
from sanityd.authoring.yaml_text import comment, condition, flow_text, scalar
from sanityd.checks.invariant import Invariant
from sanityd.rules.rule import Rule
from sanityd.sources.base import Snapshot

#: The kinds whose only option is an SQL condition.
_CONDITIONS = ("always", "never")


@dataclass(frozen=True)
class Proposal:
    """A proposed rule."""

    id: str
    tried: Tried
    #: The columns that identify a row, where the table has no key of its own.
    key: tuple[str, ...] = ()
    #: Which rows were checked, where there may be others.
    sampled: str = ""

    @property
    def table(self) -> TableProfile:
        """The table that the rule is about."""
        return self.tried.candidate.table

    @property
    def evidence(self) -> str:
        """The reason for the proposal, in words."""
        evidence = self.tried.candidate.evidence
        if not self.tried.holds:
            evidence = f"does not hold now: {self.tried.sentence}"
        if self.sampled:
            evidence += f" ({self.sampled})"
        return evidence

    def lines(self) -> list[str]:
        """Return the lines of the rule in a rules file, without indentation."""
        candidate = self.tried.candidate
        options = candidate.options
        options_yaml = condition(options) if candidate.kind in _CONDITIONS else flow_text(options)
        lines = [comment(self.evidence), f"{self.id}:", f"  table: {scalar(self.table.title)}"]
        if self.key:
            lines.append(f"  key: {flow_text(list(self.key))}")
        lines.append(f"  {candidate.kind}: {options_yaml}")
        if candidate.age_column:
            lines.append(f"  within: 1h of {candidate.age_column}")
        for name, value in candidate.rule_keys.items():
            lines.append(f"  {name}: {value}")
        return lines


@dataclass(frozen=True)
class Suggestions:
    """The proposals for one source, and what was read for them."""

    source: str
    database: str
    tables: int = 0
    rows: int = 0
    #: Rules that don't hold now come first.
    proposals: Sequence[Proposal] = ()
    #: Number of further rules that are not proposed, because of the limits.
    left_out: int = 0
    #: Tables that were not read, or not completely, each with the reason.
    skipped: Sequence[tuple[str, str]] = ()
    #: Tables without a row.
    empty: Sequence[str] = ()

    @property
    def broken(self) -> list[Proposal]:
        """The proposals that don't hold now."""
        return [proposal for proposal in self.proposals if not proposal.tried.holds]


@dataclass(frozen=True)
class ExistingRules:
    """The rules that a rules file has already."""

    ids: frozenset[str] = frozenset()
    invariants: tuple[Invariant, ...] = ()

    @classmethod
    def by(cls, rules: Iterable[Rule]) -> "ExistingRules":
        """Return the ids and the invariants of these rules."""
        ids = []
        invariants = []
        for rule in rules:
            ids.append(rule.written)
            invariants.append(rule.invariant)
        return cls(frozenset(ids), tuple(invariants))

    def with_canonical_names(self, snapshot: Snapshot) -> "ExistingRules":
        """Return the same, with the tables of a source by their canonical names."""
        invariants = (with_canonical_names(invariant, snapshot) for invariant in self.invariants)
        return replace(self, invariants=tuple(invariants))

    def covers(self, tried: Tried) -> bool:
        """Return whether these rules say the same already."""
        if tried.meaning in self._meanings:
            return True
        columns = set(_single_columns(tried.invariant))
        return bool(columns) and columns <= self._columns

    @cached_property
    def _meanings(self) -> frozenset[str]:
        return frozenset(invariant.meaning for invariant in self.invariants)

    @cached_property
    def _columns(self) -> frozenset[tuple[str, str, str]]:
        """Kind, table and column of each column that a rule is about."""
        columns: set[tuple[str, str, str]] = set()
        for invariant in self.invariants:
            columns.update(_single_columns(invariant))
        return frozenset(columns)


#: The rules of a file without any.
NOTHING = ExistingRules()


def _single_columns(invariant: Invariant) -> Iterator[tuple[str, str, str]]:
    """Iterate over kind, table and column of the columns that a rule checks in all rows."""
    subject = invariant.subject
    if subject.where is None and subject.window is None:
        for name in getattr(invariant.check, "columns", ()):
            yield invariant.kind, str(subject.table), name
