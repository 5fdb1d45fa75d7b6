"""The nouns of `suggest`: a proposal, what came of looking at a source, and what a rules file says already."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from sanityd.authoring.spelling import respelled
from sanityd.authoring.suggest.profile import TableProfile
from sanityd.authoring.try_rule import Tried
from sanityd.authoring.yaml_text import comment, condition, flow, scalar
from sanityd.checks.invariant import Invariant
from sanityd.rules.rule import Rule
from sanityd.sources.base import Snapshot

#: The kinds whose one option is a SQL condition.
_CONDITIONS = ("always", "never")


@dataclass(frozen=True)
class Proposal:
    """A rule that is worth having, as far as the data tells."""

    id: str
    tried: Tried
    #: The columns that identify a row, where the table has no key of its own.
    key: tuple[str, ...] = ()
    #: Which rows were looked at, where there may be others.
    sampled: str = ""

    @property
    def table(self) -> TableProfile:
        """The table it is about."""
        return self.tried.candidate.table

    @property
    def evidence(self) -> str:
        """What was seen, in words."""
        seen = (
            self.tried.candidate.evidence
            if self.tried.holds
            else f"does not hold now: {self.tried.sentence}"
        )
        return f"{seen} ({self.sampled})" if self.sampled else seen

    def lines(self) -> list[str]:
        """The rule as it stands in a rules file, without any indentation of its own."""
        candidate = self.tried.candidate
        options = candidate.options
        written = condition(options) if candidate.kind in _CONDITIONS else flow(options)
        return [
            comment(self.evidence),
            f"{self.id}:",
            f"  table: {scalar(self.table.title)}",
            *([f"  key: {flow(list(self.key))}"] if self.key else []),
            f"  {candidate.kind}: {written}",
            *([f"  within: 1h of {candidate.grace}"] if candidate.grace else []),
            *(f"  {name}: {value}" for name, value in candidate.more.items()),
        ]


@dataclass(frozen=True)
class Suggestions:
    """What came of looking at a source."""

    source: str
    database: str
    tables: int = 0
    rows: int = 0
    #: Those that don't hold now first.
    proposals: Sequence[Proposal] = ()
    #: How many more there were than are proposed.
    left_out: int = 0
    #: Tables that were not read, or not to the end, and why; tables without a row.
    skipped: Sequence[tuple[str, str]] = ()
    empty: Sequence[str] = ()

    @property
    def broken(self) -> list[Proposal]:
        """Those that don't hold now."""
        return [proposal for proposal in self.proposals if not proposal.tried.holds]


@dataclass(frozen=True)
class Taken:
    """What a rules file says already."""

    ids: frozenset[str] = frozenset()
    invariants: tuple[Invariant, ...] = ()

    @classmethod
    def by(cls, rules: Iterable[Rule]) -> "Taken":
        """What these rules say."""
        known = list(rules)
        return cls(
            frozenset(rule.written for rule in known), tuple(rule.invariant for rule in known)
        )

    def respelled(self, snapshot: Snapshot) -> "Taken":
        """The same with the tables of a source as they are listed there, however the file spells them."""
        return replace(self, invariants=tuple(respelled(one, snapshot) for one in self.invariants))

    def covers(self, tried: Tried) -> bool:
        """Whether the rule would say nothing new."""
        places = set(_columns_of(tried.invariant))
        return tried.meaning in self._meanings or bool(places and places <= self._columns)

    @cached_property
    def _meanings(self) -> frozenset[str]:
        return frozenset(one.meaning for one in self.invariants)

    @cached_property
    def _columns(self) -> frozenset[tuple[str, str, str]]:
        """Kind, table and column of each column that a rule names."""
        return frozenset(place for one in self.invariants for place in _columns_of(one))


#: Of a file without any rule.
NOTHING = Taken()


def _columns_of(invariant: Invariant) -> Iterator[tuple[str, str, str]]:
    """What a rule says of single columns of its table, if that is all it says."""
    columns = getattr(invariant.check, "columns", ())
    subject = invariant.subject
    if subject.where is None and subject.window is None:
        yield from ((invariant.kind, str(subject.table), name) for name in columns)
