"""`no_overlap`: intervals of one group that never overlap."""

from typing import Any, ClassVar

from pydantic import Field
from sqlalchemy import ColumnElement, FromClause, and_, case, func, or_, select

from sanityd.checks import proofs
from sanityd.checks.base import ROWS, QueryCheck, Scope, plural
from sanityd.model.option_types import Names
from sanityd.sources.base import AnySelect

#: The range type of PostgreSQL for each type of the ends.
_RANGES = {
    "int4": "int4range",
    "int8": "int8range",
    "numeric": "numrange",
    "date": "daterange",
    "timestamp": "tsrange",
    "timestamptz": "tstzrange",
}


class NoOverlap(QueryCheck):
    """Intervals of one group never overlap.

    A violation is a pair: the later interval, and the earlier one that it overlaps.

    ```yaml
    no_overlap: {from: starts_on, to: ends_on, per: room_id}
    ```

    An interval begins at `from` and ends just before `to`, so that the next one may begin where it
    ends. An interval without an end (NULL) never ends. One without a beginning, or whose end is not
    after its beginning, is skipped. A row with a NULL in a column of `per` belongs to no group.
    Violations count the pairs, and `rows` the rows that overlap an earlier one.
    """

    kind: ClassVar[str] = "no_overlap"
    needs_key: ClassVar[bool] = True
    showable: ClassVar[tuple[str, ...] | None] = ()
    unit: ClassVar[tuple[str, str]] = ("pair", "pairs")

    from_: str = Field(alias="from", min_length=1, description="The column with the beginning.")
    to: str = Field(
        min_length=1, description="The column with the end, which is not part of the interval."
    )
    per: Names = Field([], description="The columns that make a group; none: all rows are one.")

    def key(self, scope: Scope) -> tuple[str, ...]:
        """The later row's key, then the earlier one's, as `other_…`."""
        return (*scope.key, *(f"other_{name}" for name in scope.key))

    def violations(self, scope: Scope) -> AnySelect:
        """The pairs. A sort finds the rows that overlap an earlier one; only these are joined."""
        later, earlier = self._running_into(scope), self._intervals(scope).subquery("earlier")
        same_group = [later.c[f"per{n}"] == earlier.c[f"per{n}"] for n in range(len(self.per))]
        overlaps = or_(earlier.c.ends.is_(None), earlier.c.ends > later.c.begins)
        first = or_(
            earlier.c.begins < later.c.begins,
            and_(earlier.c.begins == later.c.begins, _comes_before(earlier, later, len(scope.key))),
        )
        keys = [later.c[f"key{n}"].label(name) for n, name in enumerate(scope.key)]
        keys += [earlier.c[f"key{n}"].label(f"other_{name}") for n, name in enumerate(scope.key)]
        # A row that runs into several others is one row all the same.
        mine = [later.c[f"key{n}"] for n in range(len(scope.key))]
        nth = func.row_number().over(
            partition_by=mine, order_by=[earlier.c[f"key{n}"] for n in range(len(scope.key))]
        )
        once = case((nth == 1, 1), else_=0).label(ROWS)
        return select(*keys, once).select_from(
            later.join(earlier, and_(*same_group, first, overlaps))
        )

    def proof(self, scope: Scope) -> str | None:
        """An EXCLUDE constraint about the same intervals."""
        if not scope.info.enforced.exclusions:
            return None
        definition = self.exclusion(scope)
        if definition is None:
            return None
        return proofs.of_exclusion(scope.info, definition)

    def exclusion(self, scope: Scope) -> str | None:
        """The EXCLUDE constraint that says the same on PostgreSQL; None where none can."""
        infos = [scope.column_info(name) for name in (self.from_, self.to)]
        ranges = {_RANGES.get(info.base) for info in infos}
        if len(ranges) != 1 or None in ranges:
            return None
        [kind] = ranges
        begins, ends = (scope.snapshot.quoted(info.name) for info in infos)
        parts = [f"{scope.snapshot.quoted(name)} WITH =" for name in self.per]
        parts.append(f"{kind}({begins}, {ends}) WITH &&")
        condition = f"{begins} IS NOT NULL AND ({ends} IS NULL OR {ends} > {begins})"
        return f"EXCLUDE USING gist ({', '.join(parts)}) WHERE ({condition})"

    def says(self, count: int) -> str:
        """The end of the sentence."""
        within = f", of the same {' and '.join(self.per)}" if self.per else ""
        return f"{plural(count, 'overlaps', 'overlap')}{within}"

    def amount(self, table: str, violations: int, rows: int, checked: int | None) -> str:
        """Counts pairs."""
        return f"{self.counted(violations)} of {table}"

    def _intervals(self, scope: Scope) -> AnySelect:
        begins, ends = scope.column(self.from_), scope.column(self.to)
        columns: list[ColumnElement[Any]] = [
            scope.column(name).label(f"key{n}") for n, name in enumerate(scope.key)
        ]
        columns += [scope.exact(name).label(f"per{n}") for n, name in enumerate(self.per)]
        is_complete = scope.not_null((self.from_, *self.per))
        return (
            select(
                *columns,
                begins.label("begins"),
                ends.label("ends"),
                case((ends.is_(None), 1), else_=0).label("endless"),
            )
            .select_from(scope.table)
            .where(scope.rows, is_complete, or_(ends.is_(None), ends > begins))
        )

    def _running_into(self, scope: Scope) -> FromClause:
        """The intervals that begin before all earlier ones have ended."""
        rows = self._intervals(scope).subquery("intervals")
        group = [rows.c[f"per{n}"] for n in range(len(self.per))] or None
        order = [rows.c.begins, *(rows.c[f"key{n}"] for n in range(len(scope.key)))]
        before = {"partition_by": group, "order_by": order, "rows": (None, -1)}
        seen = select(
            *rows.c,
            func.max(rows.c.ends).over(**before).label("latest"),  # type: ignore[arg-type]
            func.max(rows.c.endless).over(**before).label("any_endless"),  # type: ignore[arg-type]
        ).subquery("seen")
        return (
            select(*seen.c)
            .where(or_(seen.c.latest > seen.c.begins, seen.c.any_endless == 1))
            .subquery("later")
        )


def _comes_before(left: FromClause, right: FromClause, keys: int) -> ColumnElement[bool]:
    """Whether the left key is smaller, part by part."""
    smaller = [
        and_(
            *(left.c[f"key{m}"] == right.c[f"key{m}"] for m in range(n)),
            left.c[f"key{n}"] < right.c[f"key{n}"],
        )
        for n in range(keys)
    ]
    return or_(*smaller)
