"""`fresh`: the newest row is not older than so long."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from pydantic import Field, field_validator
from sqlalchemy import ColumnElement, and_, case, func

from sanityd.checks.base import AggregateCheck, Judgement, Scope, plural
from sanityd.model import Measurements
from sanityd.model.durations import format_duration, parse_duration
from sanityd.model.option_types import option_error

#: Times before that are never the newest that is said.
_READABLE = datetime(1900, 1, 1, tzinfo=UTC)


class Fresh(AggregateCheck):
    """The newest row is not older than a given age, by the database's clock.

    ```yaml
    fresh: {created_at: 1h}
    fresh: {columns: {created_at: 1h}, ahead: 5m}
    ```

    A row that is dated in the future does not make the table fresh: it is not counted, and is a
    violation of its own. `ahead` (one minute) is how far a clock may be ahead before that. No rows
    at all is a violation.
    """

    kind: ClassVar[str] = "fresh"
    short: ClassVar[str | None] = "columns"
    empty_fails: ClassVar[bool] = True

    columns: Mapping[str, str] = Field(
        min_length=1, description="Each column with the age its newest row may have."
    )
    ahead: str = Field("1m", description="How far in the future a row may be dated.")

    @field_validator("columns", "ahead")
    @classmethod
    def _are_durations(cls, value: Any) -> Any:
        for text in value.values() if isinstance(value, Mapping) else [value]:
            try:
                parse_duration(text)
            except ValueError as error:
                raise option_error(f"`{text}` is not a duration", str(error), word=text) from None
        return value

    @property
    def measure_name(self) -> str:
        """Rows that are young enough."""
        return "rows young enough"

    def measures(self, scope: Scope) -> Mapping[str, ColumnElement[Any]]:
        """Per column: rows that are young enough, and rows from the future."""
        expressions: dict[str, ColumnElement[Any]] = {}
        for number, (name, limit) in enumerate(self.columns.items()):
            instant = scope.instant(name)
            from_future = instant > scope.time_literal(name, scope.now + parse_duration(self.ahead))
            young = and_(
                instant >= scope.time_literal(name, scope.now - parse_duration(limit)), ~from_future
            )
            expressions[f"young{number}"] = func.count(case((young, 1)))
            expressions[f"future{number}"] = func.count(case((from_future, 1)))
            # Drivers can't read `-infinity` and dates without a year.
            is_readable = and_(instant >= scope.time_literal(name, _READABLE), ~from_future)
            expressions[f"newest{number}"] = func.max(case((is_readable, instant)))
        return expressions

    def judge(
        self, measured: Mapping[str, Any], checked: int, now: datetime, past: Measurements = ()
    ) -> Judgement:
        """Stale when no row is young enough; rows from the future are a fault of their own."""
        faults: list[tuple[str, int]] = []
        for number, name in enumerate(self.columns):
            if not measured[f"young{number}"]:
                faults.append((f"{name} is stale", checked))
            if measured[f"future{number}"]:
                faults.append((f"{name} is in the future", measured[f"future{number}"]))
        return Judgement(float(measured["young0"]), faults)

    def detail(self, measured: Mapping[str, Any], scope: Scope) -> str:
        """The newest time of each stale column, and its age."""
        words: list[str] = []
        for number, name in enumerate(self.columns):
            newest = measured[f"newest{number}"]
            if measured[f"young{number}"] or newest is None:
                continue
            at = scope.time_of(name, newest)
            age = format_duration(scope.now - at)
            words.append(f"the newest {name} is {at:%Y-%m-%d %H:%M} UTC, {age} ago")
        return " and ".join(words)

    def says(self, count: int) -> str:
        """The end of the sentence."""
        limits = " and ".join(f"{name} of the last {limit}" for name, limit in self.columns.items())
        return f"has no row with {limits}, or rows from the future"

    def sentence(self, table: str, violations: int, rows: int, checked: int | None) -> str:
        """For one column, whether it is stale, in the future, or both.

        A stale column counts all rows, as no row is young enough.
        """
        if len(self.columns) > 1 or checked is None:
            return super().sentence(table, violations, rows, checked)
        [(name, limit)] = self.columns.items()
        stale = f"no row with {name} of the last {limit}"
        future = rows - checked if violations > 1 else rows
        ahead = f"{future:,} {plural(future, 'row', 'rows')} with {name} in the future"
        if violations > 1:
            fault_text = f"{stale}, and {ahead}"
        elif rows < checked:
            fault_text = ahead
        else:
            fault_text = stale
        return f"{table} has {fault_text} ({checked:,} {plural(checked, 'row', 'rows')} in scope)"
