"""Evidence: what other tables know about a row, read once when it begins to violate a rule.

It is read between evaluation and recording, in snapshots of its own. It must never keep a violation
from being recorded: each fault ends up in the evidence as the reason why it is not available, and
all queries of a pass share a time budget.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, literal_column, select

from sanityd import clock, telemetry
from sanityd.checks.keys import value_of
from sanityd.errors import CheckError, SanitydError, SourceError
from sanityd.model import Evidence, Key, Run, Value, Violation, fingerprint
from sanityd.model.identical_rows import key_of_row
from sanityd.pipeline import guards
from sanityd.rules.evidence import EvidenceQuery, unknown_parameter
from sanityd.rules.rule import Rule, RuleSet
from sanityd.sources.base import AnyRow
from sanityd.sources.snapshot_pool import CancelToken, SnapshotPool

#: The time for all evidence of a pass over one source; a query that runs then may still end.
BUDGET = timedelta(seconds=10)
#: The most characters (or bytes) of one value, and of all values that one query finds.
MOST_OF_VALUE, MOST_OF_QUERY = 1_000, 20_000

#: The violations that will be opened, by rule.
Opening = Mapping[str, Sequence[Violation]]


def read_opening(
    connection: Connection,
    batch: Sequence[Rule],
    batch_runs: Sequence[Run],
    open_keys: Mapping[str, Mapping[str, Key]],
) -> Opening:
    """Return the violations that the runs of rules with evidence will open, by rule.

    Parameters: `open_keys` are the open violations by rule and fingerprint.
    """
    by_id = {rule.id: rule for rule in batch}
    opening = {}
    for run in batch_runs:
        rule = by_id[run.rule]
        if rule.evidence and run.tracked and run.answered and not run.unconfirmed:
            open_rows = open_keys.get(run.rule, {})
            opening[run.rule] = guards.opening_rows(connection, rule, run, open_rows)
    return opening


def add_evidence(
    rules: RuleSet,
    batch: Sequence[Rule],
    batch_runs: Sequence[Run],
    opening: Opening,
    cancel: CancelToken | None = None,
) -> list[Run]:
    """Return the runs with the evidence of the violations that they will open.

    Parameters: `cancel` stops the queries from another thread. Raises nothing: what could not be
    read says why.
    """
    by_id = {rule.id: rule for rule in batch}
    limit = rules.alerts.limits.evidence_rows
    runs = []
    with EvidenceReader(rules, cancel) as reader:
        for run in batch_runs:
            violations = opening.get(run.rule, ())[:limit]
            evidence = {}
            if violations:
                evidence = reader.of_violations(by_id[run.rule], violations, run.at)
            runs.append(replace(run, evidence=evidence))
    return runs


class EvidenceReader:
    """Reads evidence, each source and time limit in a snapshot of its own, within the budget."""

    def __init__(self, rules: RuleSet, cancel: CancelToken | None = None) -> None:
        self._sources = rules.sources
        self._cancel = cancel or CancelToken()
        self._stack = ExitStack()
        self._pools: dict[timedelta, SnapshotPool] = {}
        #: Why a source can't be read, by its name: it is not asked twice.
        self._down: dict[str, str] = {}
        self._begin = clock.stopwatch()

    def __enter__(self) -> "EvidenceReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def of_violations(
        self, rule: Rule, violations: Sequence[Violation], at: datetime
    ) -> dict[str, tuple[Evidence, ...]]:
        """Return the evidence of violations, by fingerprint.

        Parameters: `at` is when the rule was evaluated.
        """
        evidence = {}
        for violation in violations:
            mark = fingerprint(rule.id, rule.source, violation.key)
            evidence[mark] = self.of_key(rule, violation.key, at)
        return evidence

    def of_key(self, rule: Rule, key: Key, at: datetime) -> tuple[Evidence, ...]:
        """Return what each query of a rule finds about a violation with this key."""
        return tuple(self._read(query, key_of_row(key), at) for query in rule.evidence)

    def _read(self, query: EvidenceQuery, key: Key, at: datetime) -> Evidence:
        empty = Evidence(query.name, query.source, at)
        if clock.stopwatch() - self._begin > BUDGET.total_seconds():
            seconds = BUDGET.total_seconds()
            return replace(empty, error=f"the {seconds:g} s for evidence in one pass were used up")
        if query.source in self._down:
            return replace(empty, error=self._down[query.source])
        try:
            return self._found(query, key, empty)
        except SourceError as error:
            self._down[error.source or query.source] = error.message
            return replace(empty, error=error.message)
        except SanitydError as error:
            return replace(empty, error=error.message)
        except Exception as error:  # noqa: BLE001  # a violation is recorded all the same
            telemetry.capture(error)
            return replace(empty, error=f"it can't be read ({type(error).__name__})")

    def _found(self, query: EvidenceQuery, key: Key, empty: Evidence) -> Evidence:
        values = parameter_values(query, key)
        snapshot = self._pool(query.timeout).snapshot(query.source)
        lookup = snapshot.lookup(query.sql, values, query.rows + 1)
        shown = []
        hidden = []
        # As `lint` compares them: PostgreSQL folds the names that a SELECT does not quote.
        allowed = {name.casefold() for name in query.show}
        for name in lookup.c.keys():  # noqa: SIM118 (it is no dict)
            if name.casefold() in allowed:
                shown.append(name)
            else:
                hidden.append(name)
        # A row has a first value even if no column of it may be stored.
        columns: list[Any] = [literal_column("1"), *map(lookup.c.get, shown)]
        statement = select(*columns).select_from(lookup).limit(query.rows + 1)
        result = snapshot.rows(statement)
        return replace(
            empty,
            rows=_within_limit(shown, result[: query.rows]),
            hidden=tuple(hidden),
            count=min(len(result), query.rows),
            more=len(result) > query.rows,
        )

    def _pool(self, timeout: timedelta) -> SnapshotPool:
        """Return the snapshots whose statements may take no longer than that."""
        if timeout not in self._pools:
            settings = {}
            for name, source in self._sources.items():
                settings[name] = replace(
                    source,
                    statement_timeout=min(timeout, source.statement_timeout),
                    lock_timeout=min(timeout, source.lock_timeout),
                )
            pool = SnapshotPool(settings, self._cancel)
            self._pools[timeout] = self._stack.enter_context(pool)
        return self._pools[timeout]


def parameter_values(query: EvidenceQuery, key: Key) -> dict[str, Value]:
    """Return the values of a query's parameters. Raises CheckError for one without."""
    values = {}
    for name in query.parameters:
        fault = unknown_parameter(name, key)
        if fault is not None:
            raise CheckError(*fault)
        # It is one of the key, or stands for the only one.
        values[name] = key.get(name, next(iter(key.values())))
    return values


def _shortened(value: Any) -> Value:
    """Return a driver's value as one that is stored, cut when it is long."""
    own = value_of(value)
    if isinstance(own, str) and len(own) > MOST_OF_VALUE:
        return own[:MOST_OF_VALUE] + "…"
    if isinstance(own, bytes):
        return own[:MOST_OF_VALUE]
    return own


def _within_limit(
    names: Sequence[str], result: Sequence[AnyRow]
) -> tuple[Mapping[str, Value], ...]:
    """Return the first rows, as many as have no more characters than one query may find.

    Parameters: `result` has one more column before those of these names.
    """
    rows = []
    size = 0
    for values in result:
        row = dict(zip(names, map(_shortened, values[1:]), strict=True))
        size += sum(len(name) + len(str(value)) for name, value in row.items())
        if size > MOST_OF_QUERY:
            break
        rows.append(row)
    return tuple(rows)
