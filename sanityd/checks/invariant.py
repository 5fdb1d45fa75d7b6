"""The part of a rule that is about data: which rows, what must hold, and how severe it is.

Plain frozen values, made by `rules` and read by the planner; no SQL and no database here.
"""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sanityd.model import DEFAULT_OVERLAP, Severity

if TYPE_CHECKING:
    from sanityd.checks.base import Check
    from sanityd.checks.redaction import Redaction


@dataclass(frozen=True, slots=True)
class TableName:
    """A table of a source, as rules name it: `source.table` or `source.schema.table`."""

    source: str
    name: str
    schema: str | None = None

    @classmethod
    def parse(cls, text: str, sources: Collection[str], default: str | None = None) -> "TableName":
        """Read a name. A first part that names no source means a table of the `default` source.

        Raises ValueError when neither says which source is meant, or when there are too many parts.
        """
        parts = text.split(".")
        if not all(parts):
            raise ValueError(f"`{text}` is not a table name")
        if len(parts) > 1 and parts[0] in sources:
            source, *rest = parts
        elif default is not None:
            source, rest = default, parts
        else:
            raise ValueError(f"`{text}` does not begin with the name of a source")
        if len(rest) > 2:
            raise ValueError(
                f"`{text}` has too many parts: write `source.table` or `source.schema.table`"
            )
        return cls(source, rest[-1], rest[0] if len(rest) == 2 else None)

    def __str__(self) -> str:
        """The name as people write it."""
        return ".".join(part for part in (self.source, self.schema, self.name) if part)


@dataclass(frozen=True, slots=True)
class Age:
    """`10m of created_at`: how long before the database's present, by which column."""

    duration: timedelta
    column: str


@dataclass(frozen=True, slots=True)
class Subject:
    """The rows that a rule is about.

    `sources` are the names of all sources, which table names may begin with.
    """

    source: str
    table: TableName | None = None
    sources: frozenset[str] = frozenset()
    where: str | None = None
    within: Age | None = None
    window: Age | None = None
    key: tuple[str, ...] = ()
    show: tuple[str, ...] = ()
    nulls_fail: bool = False
    #: None: the kind's own default.
    empty_fails: bool | None = None


@dataclass(frozen=True, slots=True)
class LadderStep:
    """One step of a ladder: from so many violations, or from such a share of the rows in scope."""

    severity: Severity
    count: int | None = None
    percent: Decimal | None = None

    def reached(self, violations: int, rows: int, checked: int | None) -> bool:
        """Whether the step is reached. Shares are compared exactly, never rounded."""
        if self.count is not None:
            return violations >= self.count
        if self.percent is None or violations == 0:
            return False
        # Without a number of rows the share is unknown: the step then counts as reached.
        return not checked or rows * 100 >= self.percent * checked


@dataclass(frozen=True, slots=True)
class Ladder:
    """From which extent on a violation is how severe: `{error: 1, critical: 50}`."""

    steps: tuple[LadderStep, ...] = (LadderStep(Severity.ERROR, count=1),)

    def severity(self, violations: int, rows: int, checked: int | None) -> Severity | None:
        """The highest step reached; None when the rule holds well enough."""
        reached = [step.severity for step in self.steps if step.reached(violations, rows, checked)]
        return max(reached, default=None)

    @property
    def declared(self) -> Severity:
        """The lowest step: how the rule is called as long as nothing is known."""
        return min(step.severity for step in self.steps)

    @property
    def worst(self) -> Severity:
        """The highest step: how severe it can become."""
        return max(step.severity for step in self.steps)


@dataclass(frozen=True, slots=True)
class Confirm:
    """How violations are confirmed before they count.

    Where two databases can't be read at one instant, a rule is evaluated again in new snapshots,
    at once and `after` a while; with `again` False the first evaluation counts. With `runs` above
    1, a violation of any rule counts once that many runs in a row have found it; with `lasting`,
    once every run for so long has found it.
    """

    again: bool = True
    after: timedelta = timedelta(seconds=30)
    runs: int = 1
    # The repr is part of stored hashes (`daemon.rule_changes.imprint`).
    lasting: timedelta | None = field(default=None, repr=False)

    @property
    def needs_later_runs(self) -> bool:
        """Whether a violation counts only when later runs find it, too."""
        return self.runs > 1 or self.lasting is not None


@dataclass(frozen=True, slots=True)
class Scan:
    """Which rows a run reads: all, or those that are new by a `column`.

    All rows are read at least once per `every`. `overlap` is how long a row may stay invisible
    after it got its value.
    """

    column: str | None = None
    every: timedelta = timedelta(days=1)
    overlap: timedelta = DEFAULT_OVERLAP


@dataclass(frozen=True, slots=True)
class Invariant:
    """One promise about the data of one source."""

    id: str
    kind: str
    check: "Check"
    subject: Subject
    ladder: Ladder = Ladder()
    #: How many violating rows are followed one by one.
    cap: int = 1000
    confirm: Confirm = Confirm()
    scan: Scan = Scan()
    #: How keys of rows are hidden; None: they leave the database in clear.
    redaction: "Redaction | None" = None

    @property
    def meaning(self) -> str:
        """A hash of what must hold. Texts for people, schedules and recipients are not in it.

        Stores keep it: when it changes, the open violations of the rule are closed.
        """
        about = self.subject
        parts: list[Any] = [
            self.kind,
            repr(self.check),
            str(about.table),
            about.source,
            about.where,
            about.key,
        ]
        parts += [repr(about.within), repr(about.window), about.nulls_fail, about.empty_fails]
        # Rows are known by other keys then, also when the secret is another.
        parts += [self.redaction.mark] if self.redaction else []
        return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]

    @property
    def overlap(self) -> timedelta:
        """How far back new rows are read: a row that `within` spares is judged when it is older."""
        return self.scan.overlap + (
            self.subject.within.duration if self.subject.within else timedelta(0)
        )

    @property
    def elsewhere(self) -> str | None:
        """The other source that it reads; None when everything is in one."""
        own = self.subject.source
        names = [
            TableName.parse(text, self.subject.sources, own).source for text in self.check.tables()
        ]
        query = self.check.query_elsewhere()
        if query is not None:
            names.append(str(query.source))
        return next((name for name in names if name != own), None)
