"""What the Python interface returns: frozen, typed, and only with values of key and `show` columns.

Times are aware and in UTC. Words (`severity`, `state`, …) are the ones that the commands print.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sanityd.model import Value


@dataclass(frozen=True, slots=True)
class ViolatingRow:
    """One row that violates a rule, or did."""

    rule: str
    #: The values of its key columns, and of the columns under `show`.
    key: Mapping[str, Value]
    shown: Mapping[str, Value]
    #: What is wrong with it, in words; empty where the rule says all.
    detail: str
    first_seen: datetime
    #: None while it violates the rule.
    resolved_at: datetime | None = None
    #: Why it ended: `fixed`, `row_gone`, `left_scope`, …; empty while it violates the rule.
    resolution: str = ""
    #: Whether a person accepted it, so that it does not count.
    accepted: bool = False

    @property
    def open(self) -> bool:
        """Whether it still violates the rule, as far as is known."""
        return self.resolved_at is None


@dataclass(frozen=True, slots=True)
class TriageDecision:
    """What a person decided about an incident."""

    #: `acknowledged`, `snoozed`, `accepted` or `closed`.
    action: str
    by: str
    reason: str
    until: datetime


@dataclass(frozen=True, slots=True)
class IncidentRecord:
    """A time in which a rule is violated or can't be checked, or a source does not answer."""

    id: str
    #: The id of the rule; `source:NAME` of a source, `file:NAME` of a rules file.
    rule: str
    source: str
    #: `violated`, `errored`, `source_down` or `rules_wrong`; only the first is about the data.
    cause: str
    #: `info`, `warning`, `error` or `critical`: as it counts now, and as the rules file says.
    severity: str
    declared: str
    #: How many violations count now, and how many rows were checked; None if that is not known.
    violations: int
    checked: int | None
    opened_at: datetime
    resolved_at: datetime | None = None
    #: Whether so many rows broke at once that it is one fault.
    systemic: bool = False
    #: The ticket of the announced change that it began in; empty for others.
    ticket: str = ""
    #: Why it can't be checked, and what to do about it; empty for `violated`.
    error: str = ""
    hint: str = ""
    decision: TriageDecision | None = None
    #: The number of rows that people accepted, which are not among `violations`.
    accepted: int = 0

    @property
    def open(self) -> bool:
        """Whether it is not over."""
        return self.resolved_at is None


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """One thing that happened. `who` is a person or a recipient; empty for sanityd."""

    at: datetime
    rule: str
    what: str
    who: str = ""
    detail: str = ""
    #: `rule`, `run`, `incident`, `row`, `evidence`, `decision`, `mail`, `act` or `remedy`.
    kind: str = ""
    #: The id of the incident that it belongs to; empty where that is not known.
    incident: str = ""


@dataclass(frozen=True, slots=True)
class RuleResult:
    """The result of one rule in a pass."""

    rule: str
    #: `passed`, `failed`, `errored` or `skipped`. Only the first two say something of the data.
    outcome: str
    #: Exact numbers: violations, the rows they stand for, and rows checked (None: not known).
    violations: int
    rows: int
    checked: int | None
    #: The severity that counts; empty for a rule that is not violated.
    severity: str
    #: The result as a sentence; of a rule that could not be checked, the error.
    sentence: str
    #: The first violations.
    sample: tuple[ViolatingRow, ...] = ()
    #: The constraint that guarantees the rule, where no row had to be read.
    proved_by: str | None = None
    #: The incident that is open after the pass; None without one, and in a dry run.
    incident: str | None = None
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether the rule holds. False for a rule that could not be checked."""
        return self.outcome == "passed"

    @property
    def is_known(self) -> bool:
        """Whether the rule could be checked."""
        return self.outcome in ("passed", "failed")


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """The result of one pass over rules."""

    at: datetime
    #: In the order of the rules file.
    results: tuple[RuleResult, ...]
    #: As the exit code of `sanityd check`: 0, 1 for violated, 3 for something that is not known.
    code: int
    #: How many messages are still to be delivered; None in a dry run.
    undelivered: int | None = None

    @property
    def ok(self) -> bool:
        """Whether no error or critical rule is violated, and nothing is unknown."""
        return self.code == 0

    @property
    def failed(self) -> tuple[RuleResult, ...]:
        """The results of violated rules, also of those that are only warnings."""
        return tuple(result for result in self.results if result.outcome == "failed")

    @property
    def unknown(self) -> tuple[RuleResult, ...]:
        """The results of rules that could not be checked."""
        return tuple(result for result in self.results if not result.is_known)


@dataclass(frozen=True, slots=True)
class RuleState:
    """What is known of one enabled rule."""

    rule: str
    #: `holds`, `violated`, `pending` (found, to be confirmed) or `unverified`: not known now.
    state: str
    #: When it was last checked with an answer; None if never.
    verified_at: datetime | None = None
    #: The constraint that guarantees it, at its last run.
    proved_by: str | None = None
    #: Why its last run had no answer; empty if it had one.
    error: str = ""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What is violated, what is not known, and whether sanityd itself works."""

    at: datetime
    #: All enabled rules, in the order of the file.
    rules: tuple[RuleState, ...]
    #: All that is open, also sources that don't answer.
    incidents: tuple[IncidentRecord, ...]
    #: What makes the answers unreliable: rules that are overdue, a scheduler that is silent, ….
    complaints: tuple[str, ...] = ()
    #: How many messages wait, and how many were given up.
    waiting: int = 0
    given_up: int = 0
    #: The tickets of announced changes that go on.
    announced: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether all rules are known to hold, nothing is open, and sanityd itself works."""
        if self.incidents or self.complaints or self.given_up:
            return False
        return all(rule.state == "holds" for rule in self.rules)
