"""Run an example: create its tables in scratch databases, and evaluate its rule."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from types import TracebackType
from typing import Literal, Self

from sanityd.authoring.ruletests.fixtures import Example
from sanityd.authoring.ruletests.matching import Expectation, Match, match
from sanityd.authoring.ruletests.scratch_db import DuckdbScratch, ScratchDatabase, SqliteScratch
from sanityd.authoring.ruletests.scratch_server import open_scratch_server
from sanityd.checks import executor, planner
from sanityd.checks.planner import PriorState
from sanityd.errors import CheckError
from sanityd.model import Run
from sanityd.rules.cases import Case
from sanityd.sources.base import SourceSettings
from sanityd.sources.snapshot_pool import SnapshotPool

Engine = Literal["sqlite", "duckdb"]


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The result of a case: its run, the databases it ran on, and the comparison."""

    case: Case
    run: Run
    on: str
    match: Match

    @property
    def passed(self) -> bool:
        """Whether the rule found what it should find."""
        return self.match.fits

    @property
    def outcome(self) -> str:
        """The word of reports: passed, failed or errored."""
        if not self.run.answered:
            return "errored"
        return "passed" if self.passed else "failed"


class CaseRunner:
    """Runs any number of examples, one after the other, and removes its databases at the end.

    Parameters: `lent` is the URL of a server for sources of its kind (`--scratch`); `on` is the
    embedded database for the other sources, whatever they are; `watched` are the real sources,
    which are never touched. Raises SourceError when the server can't be used.
    """

    def __init__(
        self,
        lent: str | None = None,
        on: Engine | None = None,
        watched: Mapping[str, SourceSettings] | None = None,
    ) -> None:
        self._on = on
        self._databases: dict[str, ScratchDatabase] = {}
        self._stack = ExitStack()
        self._lent = open_scratch_server(lent, watched or {}) if lent else None
        if self._lent is not None:
            self._stack.callback(self._lent.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stack.close()

    def play(self, example: Example) -> CaseResult:
        """Run an example. Raises SourceError where there is no database for it."""
        run, engine = self.evaluate(example)
        return CaseResult(example.case, run, engine, match(run, Expectation.of(example.case)))

    def evaluate(self, example: Example, engine: str = "") -> tuple[Run, str]:
        """Return the run of the rule on the example's tables, and the embedded database.

        Parameters: `engine` is the embedded database to use; without it a second one is tried
        where the first one can't evaluate the rule.
        """
        engines = [engine] if engine else self._engines(example)
        first_run = None
        for candidate in engines:
            run = self._evaluate_on(candidate, example)
            if run.answered:
                return run, candidate
            first_run = first_run or run
        assert first_run is not None
        return first_run, engines[0]

    def _engines(self, example: Example) -> list[str]:
        """Return the embedded databases to try, in order.

        DuckDB stores fractions exactly and has schemas; SQLite is faster, and always installed.
        """
        if self._on is not None:
            return [self._on]
        if not DuckdbScratch.is_installed():
            return ["sqlite"]
        if any(fixture.table.schema for fixture in example.fixtures) or _has_fractions(example):
            return ["duckdb"]
        return ["sqlite", "duckdb"]

    def _evaluate_on(self, engine: str, example: Example) -> Run:
        invariant, at = example.invariant, example.case.now.astimezone(UTC)
        past = {invariant.id: example.case.past}
        try:
            settings = {}
            for source in sorted(example.sources):
                settings[source] = self._filled(source, example, engine)
            with SnapshotPool(settings) as pool:
                snapshot = pool.snapshot(invariant.subject.source)
                plan = planner.plan([invariant], snapshot, pool.snapshot, PriorState(past=past))
                [run] = executor.evaluate(plan, snapshot, {}, at)
                return run
        except CheckError as error:
            return executor.errored(invariant, at, error)

    def _filled(self, source: str, example: Example, engine: str) -> SourceSettings:
        """Create the tables of a source. Returns the settings to read them with."""
        database = self._database(source, example, engine)
        fixtures = [fixture for fixture in example.fixtures if fixture.table.source == source]
        url = database.fill(source, fixtures)
        at = example.case.now.astimezone(UTC)
        return SourceSettings(source, url, zone=example.zones[source], frozen_at=at)

    def _database(self, source: str, example: Example, engine: str) -> ScratchDatabase:
        dialect = example.dialects.get(source)
        if self._lent is not None and dialect in (None, self._lent.dialect):
            return self._lent
        if self._on is None and dialect in ("sqlite", "duckdb"):
            engine = dialect
        if engine not in self._databases:
            database = DuckdbScratch() if engine == "duckdb" else SqliteScratch()
            self._databases[engine] = database
            self._stack.callback(database.close)
        return self._databases[engine]


def _has_fractions(example: Example) -> bool:
    """Whether a row holds a decimal number with a fraction."""
    for fixture in example.fixtures:
        for row in fixture.rows:
            for value in row.values():
                if isinstance(value, Decimal) and value != value.to_integral_value():
                    return True
    return False
