"""What the store knows of the rules of a batch, and what becomes of it.

Both are many times one statement: all rules are read at once in the beginning, and written at once
in the end. In between, recording a run reads and writes here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from sqlalchemy import Connection

from sanityd.model import (
    AnnouncedChange,
    Cause,
    Change,
    Incident,
    NoiseState,
    Run,
    TrackedViolation,
    Transition,
)
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import (
    announced_changes,
    evidence,
    incidents,
    noise_state,
    rules_seen,
    runs,
    unchanged,
    violations,
)
from sanityd.store.rules_seen import SeenRule
from sanityd.store.violations import RowChanges

#: What a row may become for its evidence to be stored.
OPENED = (Change.NEW, Change.FOLLOWED, Change.REGRESSED)
#: How many runs are recorded together, and how many rows they may list: rows need memory.
MOST_RUNS, MOST_ROWS = 100, 5_000


@dataclass
class BatchState:
    """The state of the rules of a batch before their runs, and the changes by these.

    The runs are of the same time. Raises StoreError when it is written and another rules file has
    one of the rules.
    """

    connection: Connection
    rules: RuleSet
    at: datetime
    open_incidents: dict[tuple[str, Cause], Incident]
    last_runs: Mapping[str, datetime]
    seen: dict[str, SeenRule]
    #: The open violations and the recently resolved ones, by rule and fingerprint.
    rows: dict[str, dict[str, TrackedViolation]]
    noise_states: Mapping[str, NoiseState]
    announced: Sequence[AnnouncedChange] = ()
    _meanings: dict[str, str] = field(default_factory=dict)
    _row_changes: list[RowChanges] = field(default_factory=list)
    _unchanged: list[tuple[str, Run]] = field(default_factory=list)
    _evidence: list[tuple[Run, set[str]]] = field(default_factory=list)
    _incidents: dict[str, Incident] = field(default_factory=dict)
    _runs: list[Run] = field(default_factory=list)
    _incident_of_run: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def read(
        cls, connection: Connection, rules: RuleSet, selected: Iterable[Rule], at: datetime
    ) -> Self:
        """Return what is known of the rules, as seen at `at`."""
        names = [rule.id for rule in selected]
        return cls(
            connection=connection,
            rules=rules,
            at=at,
            open_incidents=incidents.open_of(connection, names),
            last_runs=runs.last_run_times(connection, names, at),
            seen=rules_seen.of_rules(connection, rules.name, names),
            rows=violations.recent_rows_of(connection, names, at),
            noise_states=noise_state.of_rules(connection, names),
            announced=announced_changes.list_active(connection, at),
        )

    def meaning_before(self, rule: Rule) -> str | None:
        """Return the meaning of a rule at its last run; None for a new rule."""
        seen = self.seen.get(rule.id)
        if seen is None or seen.removed_at is not None:
            return None
        return seen.meaning

    def read_again(self, rule: Rule) -> None:
        """Read a rule anew, of which something was closed or removed in the store."""
        for cause in (Cause.VIOLATED, Cause.ERRORED):
            self.open_incidents.pop((rule.id, cause), None)
        self.open_incidents |= incidents.open_of(self.connection, [rule.id])
        self.rows[rule.id] = violations.recent_rows(self.connection, rule.id, self.at)

    def save_meaning(self, rule: Rule) -> None:
        """Save what a rule means from now on."""
        self._meanings[rule.id] = rule.meaning

    def save_rows(self, rule: Rule, run: Run, transitions: Sequence[Transition]) -> None:
        """Save what a run changed about rows, and whether it needs to be repeated."""
        self._row_changes.append(RowChanges(rule.id, rule.source, transitions))
        self._unchanged.append((rule.meaning, run))
        if run.evidence:
            opened = {item.fingerprint for item in transitions if item.change in OPENED}
            self._evidence.append((run, opened))

    def save_incident(self, incident: Incident) -> None:
        """Save an incident; one that ended is saved before one that takes its place."""
        self._incidents[incident.id] = incident

    def save_run(self, run: Run, incident: Incident | None) -> None:
        """Save a run, with the incident that is open after it."""
        self._runs.append(run)
        self._incident_of_run[run.rule] = incident.id if incident else None

    def write(self) -> None:
        """Write all that was saved. Runs refer to incidents, so these are first."""
        connection, revision = self.connection, self.rules.revision
        rules_seen.save(connection, self.rules.name, self._meanings, revision, self.at)
        unchanged.save(connection, self._unchanged)
        violations.apply(connection, self._row_changes, self.at)
        evidence.save_all(connection, self._evidence)
        incidents.save_all(connection, self._incidents.values())
        runs.record_all(connection, self._runs, revision=revision, incidents=self._incident_of_run)


def parts(batch: Iterable[tuple[Rule, Run]]) -> list[list[tuple[Rule, Run]]]:
    """Return the runs in groups that are recorded together: of one time, one run of each rule.

    A group has at most `MOST_RUNS` runs, which list `MOST_ROWS` rows, or one run alone.
    """
    groups: list[list[tuple[Rule, Run]]] = []
    names: set[str] = set()
    rows = 0
    for rule, run in batch:
        rows += len(run.tracked)
        is_full = rows > MOST_ROWS or len(names) == MOST_RUNS
        if not groups or is_full or rule.id in names or groups[-1][0][1].at != run.at:
            groups.append([])
            names.clear()
            rows = len(run.tracked)
        groups[-1].append((rule, run))
        names.add(rule.id)
    return groups
