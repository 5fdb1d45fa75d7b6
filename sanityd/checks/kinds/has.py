"""`has`: every row has its counterpart in another table."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field, field_validator
from sqlalchemy import ColumnElement, and_, exists, func, or_, select, tuple_

from sanityd.checks.base import Check, Requirement, RowCheck, Scope, plural
from sanityd.model.option_types import option_error


@dataclass(frozen=True, slots=True, repr=False)
class CounterpartCount:
    """The allowed number of counterparts: from `low` to `high`, both included.

    A `high` of None means that there is no upper limit.
    """

    low: int
    high: int | None

    def __repr__(self) -> str:
        # `Invariant.meaning` hashes the repr of a check, and stores keep that hash: under
        # another name every `has` rule would count as changed.
        return f"Count(low={self.low!r}, high={self.high!r})"

    def __str__(self) -> str:
        """In words, as rules write it."""
        if self.high is None:
            return f"at least {self.low}"
        if self.high == 0:
            return "none"
        return f"exactly {self.high}" if self.low == self.high else f"at most {self.high}"


def parse_count(text: Any) -> CounterpartCount:
    """Read `at least 1`, `at most N`, `exactly N`, `none` or a number.

    Raises a fault for anything else.
    """
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return CounterpartCount(text, text)
    match = re.fullmatch(r"(at least|at most|exactly) ([0-9]+)|(none)", str(text))
    if not match:
        raise option_error(
            f"`{text}` is not a count", "write `at least 1`, `at most 1`, `exactly 1` or `none`"
        )
    if match[3]:
        return CounterpartCount(0, 0)
    number = int(match[2])
    if match[1] == "at least" and number == 0:
        raise option_error("`at least 0` is always true", "write `at least 1`, or `none`")
    return {
        "at least": CounterpartCount(number, None),
        "at most": CounterpartCount(0, number),
        "exactly": CounterpartCount(number, number),
    }[match[1]]


def belongs(scope: Scope, other: Scope, on: Mapping[str, str]) -> ColumnElement[bool]:
    """Whether a row of `other` matches a row of `scope` without NULLs, compared exactly."""
    if _has_expression(scope, other, on) or not _finds_by_index(scope, other, on):
        # Otherwise the other table would be read anew for each row, and the columns of an
        # expression would be those of the other table.
        pairs = [scope.comparable(mine, other, other_column) for mine, other_column in on.items()]
        wanted = select(*(other_column for _, other_column in pairs)).select_from(other.table)
        wanted = wanted.where(other.rows, other.not_null(on.values()))
        return _row_of(pairs).in_(wanted.correlate(scope.table))
    same = and_(*(scope.same(mine, other, other_column) for mine, other_column in on.items()))
    return exists(select(1).select_from(other.table).where(same, other.rows).correlate(scope.table))


def _row_of(pairs: Sequence[tuple[ColumnElement[Any], ColumnElement[Any]]]) -> ColumnElement[Any]:
    """The own values of pairs to be compared, as one value."""
    return pairs[0][0] if len(pairs) == 1 else tuple_(*(mine for mine, _ in pairs))


def _has_expression(scope: Scope, other: Scope, on: Mapping[str, str]) -> bool:
    if any(scope.is_expression(name) for name in on):
        return True
    return any(other.is_expression(name) for name in on.values())


def _finds_by_index(scope: Scope, other: Scope, on: Mapping[str, str]) -> bool:
    """Whether rows of `other` are found quickly one by one: by an index on values as they are."""
    leading = other.info.leading
    if leading is None:
        return True
    usable = [
        other_name
        for name, other_name in on.items()
        if scope.is_text(name) is other.is_text(other_name)
    ]
    return not leading.isdisjoint(usable)


class Has(RowCheck):
    """Every row has a counterpart in another table, or the right number of them.

    ```yaml
    has: {in: app.mails, on: {id: person_id}, where: "template = 'welcome' and status = 'sent'"}
    has: {in: ledger.entries, on: {"'P' || id": ref}, where: "state = 'booked'"}
    has: {in: app.mails, on: {id: person_id}, count: at most 1}
    ```

    The other table may be in another source. `on` maps columns of the rule's table to columns of
    the other; several make a composite key. In place of a column there may be a SQL expression over
    the columns of its table, in the SQL of its database. `where` restricts the counterparts.
    `count` is `at least 1` (the default), `at most N`, `exactly N` or `none`. A row whose own
    column is NULL passes unless the rule says `nulls: fail`; a NULL in the other table never hides
    a violation.
    """

    kind: ClassVar[str] = "has"
    is_timeless: ClassVar[bool] = True
    judges_nulls: ClassVar[bool] = True

    in_: str = Field(alias="in", description="The table of the counterparts: `source.table`.")
    on: Mapping[str, str] = Field(
        min_length=1,
        description="Columns of this table, or SQL expressions, each with its column there.",
    )
    where: str | None = Field(
        None, description="A SQL condition that picks among the counterparts."
    )
    count: Any = Field(
        CounterpartCount(1, None),
        description="`at least 1`, `at most N`, `exactly N` or `none`.",
        examples=["at least 1", "at most 1", "exactly 1", "none"],
        json_schema_extra={
            "anyOf": [
                {"type": "string", "pattern": "^((at least|at most|exactly) [0-9]+|none)$"},
                {"type": "integer", "minimum": 0},
            ]
        },
    )

    @field_validator("count")
    @classmethod
    def _read_count(cls, value: Any) -> CounterpartCount:
        return value if isinstance(value, CounterpartCount) else parse_count(value)

    def tables(self) -> Iterable[str]:
        """The table of the counterparts."""
        return (self.in_,)

    def sql(self) -> Iterable[str]:
        """The condition on the counterparts."""
        return () if self.where is None else (self.where,)

    def requirements(self) -> Sequence[Requirement]:
        """So many counterparts."""
        return (Requirement(self.on, self.in_, self.where, self.count.low, self.count.high),)

    def is_bad(self, scope: Scope) -> ColumnElement[bool]:
        """True for a row with too few or too many counterparts."""
        other = scope.other(self.in_, self.where)
        has_key = scope.not_null(self.on)
        return and_(has_key, self._is_wrong(scope, other))

    def is_unknown(self, scope: Scope) -> ColumnElement[bool]:
        """True for a row whose own column is NULL."""
        return or_(*(scope.column(name).is_(None) for name in self.on))

    def says(self, count: int) -> str:
        """The end of the sentence."""
        where = f" where {self.where}" if self.where else ""
        if self.count == CounterpartCount(1, None):
            return f"{plural(count, 'has', 'have')} no row in {self.in_}{where}"
        if self.count == CounterpartCount(0, 0):
            return f"{plural(count, 'has', 'have')} a row in {self.in_}{where}"
        low, high = self.count.low, self.count.high
        if high is None:
            return f"{plural(count, 'has', 'have')} fewer than {low} rows in {self.in_}{where}"
        rows = f"{high} {plural(high, 'row', 'rows')} in {self.in_}{where}"
        if low == 0:
            return f"{plural(count, 'has', 'have')} more than {rows}"
        return f"{plural(count, 'does', 'do')} not have exactly {rows}"

    def _is_wrong(self, scope: Scope, other: Scope) -> ColumnElement[bool]:
        low, high = self.count.low, self.count.high
        if (low, high) == (1, None):
            return ~belongs(scope, other, self.on)
        if high == 0:
            return belongs(scope, other, self.on)
        if low == 0:
            return self._some_group(scope, other, func.count() > high)
        return ~self._some_group(
            scope, other, func.count() >= low if high is None else func.count() == high
        )

    def _some_group(
        self, scope: Scope, other: Scope, having: ColumnElement[bool]
    ) -> ColumnElement[bool]:
        # Counted once per key and then joined: a correlated count would read the other table
        # once per row.
        pairs = [
            scope.comparable(mine, other, other_column) for mine, other_column in self.on.items()
        ]
        keys = [
            other_column.label(f"key{number}") for number, (_, other_column) in enumerate(pairs)
        ]
        has_key = other.not_null(self.on.values())
        grouped = (
            select(*keys)
            .select_from(other.table)
            .where(other.rows, has_key)
            .group_by(*(other_column for _, other_column in pairs))
            .having(having)
        )
        if _has_expression(scope, other, self.on):
            # Inside of a subquery, the columns of an expression would be those of the subquery.
            return _row_of(pairs).in_(grouped.correlate(scope.table))
        counted = grouped.subquery("counted")
        same = and_(*(mine == counted.c[f"key{number}"] for number, (mine, _) in enumerate(pairs)))
        return exists(select(1).select_from(counted).where(same).correlate(scope.table))


__all__ = ["Check", "CounterpartCount", "Has", "belongs", "parse_count"]
