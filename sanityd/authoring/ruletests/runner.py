"""An example played: its tables on scratch databases, its rule looked at by the real planner and
executor."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from types import TracebackType
from typing import Literal, Self

from sanityd.authoring.ruletests.fixtures import Example
from sanityd.authoring.ruletests.matching import Expectation, Match, match
from sanityd.authoring.ruletests.scratch_db import DuckdbStage, ScratchDatabase, SqliteStage
from sanityd.authoring.ruletests.scratch_server import scratch
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
    """What came of a case: the run, on which databases, and how it compares with what was
    expected."""

    case: Case
    run: Run
    on: str
    match: Match

    @property
    def passed(self) -> bool:
        """Whether the rule found what it had to find."""
        return self.match.fits

    @property
    def outcome(self) -> str:
        """The word of reports: passed, failed or errored."""
        return "errored" if not self.run.answered else "passed" if self.passed else "failed"


class CaseRunner:
    """Scratch databases for any number of examples, one after the other; all are removed at the
    end.

    Parameters: `lent` is the URL of a server to be used for sources of its kind; `on` is which
    embedded database to take for the others, whatever theirs is; `watched` are the real sources,
    which are never touched.
    """

    def __init__(
        self,
        lent: str | None = None,
        on: Engine | None = None,
        watched: Mapping[str, SourceSettings] | None = None,
    ) -> None:
        self._on = on
        self._stages: dict[str, ScratchDatabase] = {}
        self._stack = ExitStack()
        self._lent = scratch(lent, watched or {}) if lent else None
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
        """Play an example. Raises SourceError where there is no database to play it on."""
        run, on = self.look(example)
        return CaseResult(example.case, run, on, match(run, Expectation.of(example.case)))

    def look(self, example: Example, engine: str = "") -> tuple[Run, str]:
        """What a look at the example's tables finds, and on which embedded database that was.

        Parameters: `engine` is the one to take; without it a second one is tried where the first
        can't read the SQL.
        """
        first: tuple[Run, str] | None = None
        for candidate in [engine] if engine else self._engines(example):
            run = self._look_on(candidate, example)
            if run.answered:
                return run, candidate
            first = first or (run, candidate)
        assert first is not None
        return first

    def names_of(self, example: Example, engine: str) -> str:
        """The databases that the example is played on, in words."""
        return ", ".join(
            sorted({self._stage(source, example, engine).dialect for source in example.sources})
        )

    def _engines(self, example: Example) -> list[str]:
        """DuckDB keeps fractions exactly and has schemas; SQLite is quicker, and always there."""
        if self._on is not None:
            return [self._on]
        if not DuckdbStage.is_there():
            return ["sqlite"]
        values = (value for sheet in example.sheets for row in sheet.rows for value in row.values())
        exact = any(
            isinstance(value, Decimal) and value != value.to_integral_value() for value in values
        )
        if exact or any(sheet.table.schema for sheet in example.sheets):
            return ["duckdb"]
        return ["sqlite", "duckdb"]

    def _look_on(self, engine: str, example: Example) -> Run:
        invariant, at = example.invariant, example.case.now.astimezone(UTC)
        past = {invariant.id: example.case.past}
        try:
            settings = {
                source: self._filled(source, example, engine) for source in sorted(example.sources)
            }
            with SnapshotPool(settings) as views:
                snapshot = views.snapshot(invariant.subject.source)
                plan = planner.plan([invariant], snapshot, views.snapshot, PriorState(past=past))
                [run] = executor.evaluate(plan, snapshot, {}, at)
                return run
        except CheckError as error:
            return executor.errored(invariant, at, error)

    def _filled(self, source: str, example: Example, engine: str) -> SourceSettings:
        stage = self._stage(source, example, engine)
        url = stage.fill(
            source, [sheet for sheet in example.sheets if sheet.table.source == source]
        )
        at = example.case.now.astimezone(UTC)
        return SourceSettings(source, url, zone=example.zones[source], stands_at=at)

    def _stage(self, source: str, example: Example, engine: str) -> ScratchDatabase:
        own = example.dialects.get(source)
        if self._lent is not None and own in (None, self._lent.dialect):
            return self._lent
        if self._on is None and own in ("sqlite", "duckdb"):
            engine = own
        if engine not in self._stages:
            self._stages[engine] = DuckdbStage() if engine == "duckdb" else SqliteStage()
            self._stack.callback(self._stages[engine].close)
        return self._stages[engine]
