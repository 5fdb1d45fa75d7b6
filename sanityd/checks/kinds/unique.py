"""`unique`: no key occurs twice."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field
from sqlalchemy import ColumnElement, and_, case, func, literal, select, true, tuple_

from sanityd.checks import proofs
from sanityd.checks.base import IN_SCOPE, ROWS, Candidates, QueryCheck, Scope, plural
from sanityd.checks.scope import bind
from sanityd.model.option_types import Names, as_list
from sanityd.sources.base import AnySelect

Ignored = Literal["case", "spaces"]


class Unique(QueryCheck):
    """No value, or combination of values, occurs more than once.

    A violation is the duplicated key.

    ```yaml
    unique: email
    unique: [tenant_id, number]
    unique: {columns: email, ignore: [case, spaces]}
    ```

    Values are compared exactly; `ignore: [case]` ignores upper and lower case, `ignore: [spaces]`
    ignores spaces at both ends. A row with a NULL in the key is skipped, as in SQL's UNIQUE; with
    `nulls: equal`, NULLs are equal to each other. With `window`, a row in the window is also
    compared with the rows before it. Violations count the keys, and `rows` the rows that share
    them. `show: id` shows the smallest and the largest `id` of these rows, `4 … 17`; of texts, the
    first and the last in order.
    """

    kind: ClassVar[str] = "unique"
    is_timeless: ClassVar[bool] = True
    short: ClassVar[str | None] = "columns"
    supports_new_rows: ClassVar[bool] = True
    unit: ClassVar[tuple[str, str]] = ("key", "keys")

    columns: Names = Field(min_length=1, description="The columns that make the key.")
    ignore: Annotated[
        list[Ignored], BeforeValidator(as_list, json_schema_input_type=Ignored | list[Ignored])
    ] = Field([], description="Differences that don't count.")
    nulls: Literal["distinct", "equal"] = Field(
        "distinct", description="Whether NULLs equal each other."
    )

    def key(self, scope: Scope) -> tuple[str, ...]:
        """The columns of the key."""
        return tuple(self.columns)

    def violations(self, scope: Scope) -> AnySelect:
        """Keys with more than one row, of which at least one is in the window."""
        return self._duplicates(scope, true())

    def candidates(self, scope: Scope) -> Candidates | None:
        """Digests of keys that occur more than once: most belong to duplicated keys."""
        if self.nulls == "equal":
            return None
        infos = [scope.column_info(name) for name in self.columns]
        digest = scope.snapshot.source.dialect.digest(list(self._compared(scope).values()), infos)
        if digest is None:
            return None
        shared = (
            select(digest.label("sanityd_digest"))
            .select_from(scope.table)
            .where(scope.judged, self._counts(scope))
            .group_by(digest)
            .having(func.count() > 1)
        )
        return Candidates(
            shared,
            lambda values: self._duplicates(scope, digest.in_([bind(value) for value in values])),
        )

    def violations_of_new_rows(self, scope: Scope, new: Scope) -> AnySelect | None:
        """Keys of new rows that have more than one row, old ones included."""
        if self.nulls == "equal":
            return None
        keys = tuple_(*self._compared(new).values())
        # A subquery of the same table: the condition is about its rows, not about the group.
        new_keys = (
            select(*self._compared(new).values())
            .select_from(new.table)
            .where(new.rows, self._counts(new))
        )
        return self._duplicates(scope, keys.in_(new_keys.correlate(None)))

    def _duplicates(self, scope: Scope, condition: ColumnElement[bool]) -> AnySelect:
        keys = self._compared(scope)
        recent = (
            func.max(case((scope.in_window, 1), else_=0)) == 1 if scope.subject.window else true()
        )
        return (
            select(
                *(key.label(name) for name, key in keys.items()),
                *self._shown(scope),
                func.count().label(ROWS),
            )
            .select_from(scope.table)
            .where(scope.judged, self._counts(scope), condition)
            .group_by(*keys.values())
            .having(and_(func.count() > 1, recent))
        )

    def proof(self, scope: Scope) -> str | None:
        """A unique index; one that ignores less than the rule proves nothing."""
        nulls_equal = self.nulls == "equal"
        if not self.ignore:
            return proofs.of_unique(scope.info, self.columns, nulls_equal=nulls_equal)
        if nulls_equal or not scope.info.enforced.unique_expressions:
            return None
        return proofs.of_expressions(scope.info, self.key_expressions(scope))

    def key_expressions(self, scope: Scope) -> list[str]:
        """The SQL by which each column is compared, without the name of the table."""
        expressions = []
        for value in self._compared(scope).values():
            statement = scope.snapshot.sql(select(value.label("value")).select_from(scope.table))
            before, _, _ = statement.partition(" AS value")
            text = before.removeprefix("SELECT ")
            expressions.append(text.replace(f"{scope.snapshot.quoted(scope.info.name)}.", ""))
        return expressions

    def population(self, scope: Scope) -> AnySelect:
        """All keys, once each."""
        keys = self._compared(scope)
        in_scope = func.max(case((and_(scope.rows, self._counts(scope)), 1), else_=0)).label(
            IN_SCOPE
        )
        labelled = (key.label(name) for name, key in keys.items())
        return select(*labelled, in_scope).select_from(scope.table).group_by(*keys.values())

    def says(self, count: int) -> str:
        """The end of the sentence."""
        return f"{plural(count, 'occurs', 'occur')} more than once"

    def amount(self, table: str, violations: int, rows: int, checked: int | None) -> str:
        """Counts keys, and the rows that share them."""
        return f"{self.counted(violations)}, {rows:,} rows"

    def sentence(self, table: str, violations: int, rows: int, checked: int | None) -> str:
        """Counts keys, and the rows that share them."""
        values = (
            f"{violations:,} {plural(violations, 'value', 'values')} of {', '.join(self.columns)}"
        )
        return f"{values} {self.says(violations)} in {table}, in {rows:,} rows"

    def _shown(self, scope: Scope) -> list[ColumnElement[Any]]:
        """For each column to show, the value of its rows, or the smallest and the largest."""
        return [
            _ends(scope, name).label(name)
            for name in scope.subject.show
            if name not in self.columns
        ]

    def _counts(self, scope: Scope) -> ColumnElement[bool]:
        if self.nulls == "equal":
            return true()
        return scope.not_null(self.columns)

    def _compared(self, scope: Scope) -> dict[str, ColumnElement[Any]]:
        return {name: self._as_compared(scope, name) for name in self.columns}

    def _as_compared(self, scope: Scope, name: str) -> ColumnElement[Any]:
        if not scope.may_hold_text(name) or not self.ignore:
            return scope.exact(name)
        value = scope.folded(name) if "case" in self.ignore else scope.text(name)
        return scope.if_text(name, func.trim(value) if "spaces" in self.ignore else value)


def _ends(scope: Scope, name: str) -> ColumnElement[Any]:
    """The smallest and the largest value of a group as text; NULL is the smallest."""
    info = scope.column_info(name)
    dialect = scope.snapshot.source.dialect
    value = scope.column(name) if dialect.sorts(info) else scope.text(name)
    least, most = dialect.text(func.min(value), info), dialect.text(func.max(value), info)
    between = literal(" … ")
    return case(
        (func.count(value) < func.count(), literal("NULL") + between + most),
        (least == most, most),
        else_=least + between + most,
    )
