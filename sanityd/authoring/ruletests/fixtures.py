"""The typed tables of an example, ready to be created in a scratch database."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from sanityd.checks.invariant import Invariant, TableName
from sanityd.model import Value
from sanityd.rules.cases import Case
from sanityd.sources.catalog import Family


@dataclass(frozen=True, slots=True)
class TableFixture:
    """One table of an example, with rows that have a value (or NULL) for each column."""

    table: TableName
    columns: Mapping[str, Family]
    rows: tuple[Mapping[str, Value], ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A case that can be run: its rule, tables, and the time zones of their sources."""

    case: Case
    invariant: Invariant
    fixtures: tuple[TableFixture, ...]
    zones: Mapping[str, ZoneInfo]
    #: sqlglot's names of the sources' own dialects, where they are known.
    dialects: Mapping[str, str]

    @property
    def sources(self) -> set[str]:
        """The sources that the rule or a table needs."""
        sources = {fixture.table.source for fixture in self.fixtures}
        for source in (self.invariant.subject.source, self.invariant.elsewhere):
            if source:
                sources.add(source)
        return sources

    def with_rows(self, rows: Mapping[TableName, Collection[Mapping[str, Value]]]) -> "Example":
        """Return the example with other rows in some tables."""
        fixtures = []
        for fixture in self.fixtures:
            new_rows = rows.get(fixture.table, fixture.rows)
            fixtures.append(replace(fixture, rows=tuple(new_rows)))
        return replace(self, fixtures=tuple(fixtures))
