"""The contract of a check kind. A kind is one file in `kinds/`: a class whose fields are the options of the rule.

    Check
    ├── RowCheck          is_bad(scope) -> condition on one row
    │   └── ColumnCheck   is_bad_value(scope, column, expected) -> condition on one value
    ├── QueryCheck        violations(scope) -> SELECT of the keys that violate
    ├── AggregateCheck    measures(scope) -> values of the whole scope; judge(...) -> violations
    ├── PairCheck      agreement() -> two tables that agree row for row
    ├── CatalogCheck      judge(table) -> violations, from what the catalog says of the table
    └── FunctionCheck     find(read) -> violations, by the user's own code

A check builds SQLAlchemy expressions from a `Scope`, which knows the table, the rows in question and how the database's
SQL differs. It does no I/O.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from sqlalchemy import ColumnElement, or_

from sanityd.checks.requirements import OtherTable, Requirement, TableComparison
from sanityd.checks.scope import Scope
from sanityd.checks.table_nouns import rows_of
from sanityd.model import Past, Value, Violation
from sanityd.model.option_types import Names, fault, listed
from sanityd.sources.base import AnySelect
from sanityd.sources.catalog import TableInfo


def plural(count: int, one: str, many: str) -> str:
    """The form of a verb or noun that fits the count."""
    return one if count == 1 else many


class Check(BaseModel, ABC):
    """What a rule says of its rows. Subclasses set `kind`, and `short` to the field that a short form fills."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: ClassVar[str]
    short: ClassVar[str | None] = None
    #: Whether `nulls: fail` has a meaning.
    judges_nulls: ClassVar[bool] = False
    #: Whether a scope without rows is a violation when the rule doesn't say (`when_empty`).
    empty_fails: ClassVar[bool] = False
    #: Whether the rule names a `table` (else a `source`), where that doesn't depend on its options.
    needs_table: ClassVar[bool] = True
    #: Whether `where`, `within`, `window` and `when_empty` have a meaning.
    about_rows: ClassVar[bool] = True
    #: Whether the rows it finds are identified by the key of the table.
    needs_key: ClassVar[bool] = False
    #: The columns that `show` may name: what its SELECT has. None: any column of the table.
    showable: ClassVar[tuple[str, ...] | None] = None
    #: Whether looking at new rows, and at those that violate, tells what is new (`scan`).
    can_narrow: ClassVar[bool] = False
    #: Whether the same rows always give the same answer, apart from SQL of the user's, which may read a clock.
    is_timeless: ClassVar[bool] = False

    #: What a violation is called: one, and several.
    unit: ClassVar[tuple[str, str]] = ("row", "rows")

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, value: Any) -> Any:
        """`{email: email}` and `{columns: {email: email}}` say the same; a mapping with a field's name is long."""
        if cls.short is None:
            return value
        names = {field.alias or name for name, field in cls.model_fields.items()}
        if isinstance(value, dict) and names & value.keys():
            return value
        return {cls.model_fields[cls.short].alias or cls.short: value}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: Any, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Both forms. In the short one no column is called like an option, or it would be the long one."""
        long = handler.resolve_ref_schema(handler(core))
        if cls.short is None:
            return long
        option = long["properties"][cls.model_fields[cls.short].alias or cls.short]
        brief = {
            word: value
            for word, value in option.items()
            if word not in ("title", "description", "examples")
        }
        if "additionalProperties" in brief:
            brief["propertyNames"] = {"not": {"enum": list(long["properties"])}}
        # The long one first: editors offer what stands there when nothing is written yet.
        return {"anyOf": [long, brief]}

    def tables(self) -> Iterable[str]:
        """The other tables it looks at, as the rule names them."""
        return ()

    def sql(self) -> Iterable[str]:
        """The user's SQL conditions in its options, for the gate."""
        return ()

    def query_sql(self) -> str | None:
        """The user's whole SELECT in the rule's own source, for the gate."""
        return None

    def query_there(self) -> OtherTable | None:
        """The user's whole SELECT in another source, for the gate."""
        return None

    def proof(self, scope: Scope) -> str | None:
        """The constraint by which the database sees to it itself, so that no row need be read; None for none."""
        del scope
        return None

    @property
    def reads_table(self) -> bool:
        """Whether this rule names a `table` (else a `source`)."""
        return self.needs_table

    @property
    def reads_clock(self) -> bool:
        """Whether the same rows give another answer at another time, so that new ones are not enough."""
        return False

    @property
    def measure_name(self) -> str:
        """What the measured value is, as a noun, where it measures one."""
        return "the value"

    @property
    def quotes_rows(self) -> bool:
        """Whether keys of its violations hold values of rows (else they are words of sanityd's own)."""
        return True

    @abstractmethod
    def says(self, count: int) -> str:
        """What is wrong with `count` of its rows, as the end of a sentence: `have no row in mails`."""

    def counted(self, violations: int) -> str:
        """So many violations, in the kind's own word; nothing where one thing is right or wrong as a whole."""
        return f"{violations:,} {plural(violations, *self.unit)}"

    def amount(self, table: str, violations: int, rows: int, checked: int | None) -> str:
        """How much is wrong, as short as it can be told: `3 of 1,000 people`."""
        population = f" of {checked:,}" if checked else ""
        return f"{violations:,}{population} {rows_of(table)}"

    def sentence(self, table: str, violations: int, rows: int, checked: int | None) -> str:
        """What is wrong, in one sentence with its numbers, without a full stop."""
        return f"{self.amount(table, violations, rows, checked)} {self.says(violations)}"


class RowCheck(Check):
    """A condition on one row at a time."""

    needs_key: ClassVar[bool] = True
    can_narrow: ClassVar[bool] = True

    @abstractmethod
    def is_bad(self, scope: Scope) -> ColumnElement[bool]:
        """True for a row that violates. NULL is unknown, which passes unless the rule says `nulls: fail`."""

    def is_unknown(self, scope: Scope) -> ColumnElement[bool]:
        """True for a row of which the rule can't tell, because a value is NULL."""
        return self.is_bad(scope).is_(None)

    def claims(self) -> Sequence[Requirement]:
        """What it wants of other tables, for when they are in another source."""
        return ()

    def reasons(self, scope: Scope) -> Mapping[str, ColumnElement[bool]]:
        """Words for what may be wrong with a row, with the condition of each. Nothing when there is only one."""
        return {}


class ColumnCheck(RowCheck):
    """A condition on single values: `columns` maps each column to what is expected of it."""

    short: ClassVar[str | None] = "columns"
    judges_nulls: ClassVar[bool] = True

    #: Whether asking it costs more than comparing the value with a few words.
    is_dear: ClassVar[bool] = False

    columns: Mapping[str, Any]

    def lists(self) -> Mapping[str, Sequence[str]]:
        """Words that most values of a column will be, and that are quick to compare with."""
        return {}

    @abstractmethod
    def is_bad_value(self, scope: Scope, name: str, expected: Any) -> ColumnElement[bool]:
        """True for a value of the column that is not as expected; NULL for NULL."""

    def is_bad(self, scope: Scope) -> ColumnElement[bool]:
        """True when any of the columns is not as expected."""
        return or_(
            *(self.is_bad_value(scope, name, expected) for name, expected in self.columns.items())
        )

    def is_unknown(self, scope: Scope) -> ColumnElement[bool]:
        """True when any of the columns is NULL."""
        return or_(*(scope.column(name).is_(None) for name in self.columns))

    def reasons(self, scope: Scope) -> Mapping[str, ColumnElement[bool]]:
        """Which of several columns it is."""
        if len(self.columns) == 1:
            return {}
        return {
            name: self.is_bad_value(scope, name, expected)
            for name, expected in self.columns.items()
        }

    @model_validator(mode="after")
    def _names_a_column(self) -> Self:
        if not self.columns:
            raise fault("names no column", "write at least one column")
        return self


@dataclass(frozen=True, slots=True)
class Candidates:
    """A cheaper question whose answers tell where to look: no clue, no violation.

    `statement` selects one column, without NULLs; `follow` makes of its values the SELECT of the violations there.
    """

    statement: AnySelect
    follow: Callable[[Sequence[Any]], AnySelect]


class QueryCheck(Check):
    """A SELECT whose every row is a violation."""

    @abstractmethod
    def key(self, scope: Scope) -> tuple[str, ...]:
        """The columns of the SELECT that identify a violation."""

    @abstractmethod
    def violations(self, scope: Scope) -> AnySelect:
        """One row per violation: the key, the columns to show, and `ROWS` when a violation stands for several."""

    def violations_among(self, scope: Scope, new: Scope) -> AnySelect | None:
        """The violations that rows of the scope `new` take part in; None when looking for them saves nothing."""
        del scope, new
        return None

    def clues(self, scope: Scope) -> Candidates | None:
        """Where to look for violations, where that is quicker than looking everywhere; None where it isn't."""
        del scope
        return None

    def population(self, scope: Scope) -> AnySelect | None:
        """All keys that exist, violating or not, and whether each is `IN_SCOPE`; None when that can't be told."""
        return None

    def measure(self, scope: Scope) -> ColumnElement[Any] | None:
        """The one value of the rows in scope that the rule is about, to be kept in the record; None for none."""
        return None


class AggregateCheck(Check):
    """Values of the whole scope, judged outside the database."""

    showable: ClassVar[tuple[str, ...] | None] = ()

    #: Whether it compares with the values of earlier runs.
    learns: ClassVar[bool] = False

    @property
    def quotes_rows(self) -> bool:
        """Never."""
        return False

    @abstractmethod
    def measures(self, scope: Scope) -> Mapping[str, ColumnElement[Any]]:
        """Aggregate expressions over the rows in scope, by name."""

    def counted(self, violations: int) -> str:
        """Nothing: it is the table."""
        return ""

    def amount(self, table: str, violations: int, rows: int, checked: int | None) -> str:
        """The number of rows in scope, as it is the table as a whole that is wrong."""
        return (
            f"{table}, {checked:,} {plural(checked, 'row', 'rows')}"
            if checked is not None
            else table
        )

    def sentence(self, table: str, violations: int, rows: int, checked: int | None) -> str:
        """About the table as a whole."""
        found = (
            "" if checked is None else f" ({checked:,} {plural(checked, 'row', 'rows')} in scope)"
        )
        return f"{table} {self.says(violations)}{found}"

    @abstractmethod
    def judge(
        self, measured: Mapping[str, Any], checked: int, now: datetime, past: Past = ()
    ) -> "Judgement":
        """What the values say; `now` is the database's clock, `past` what was measured before, if it `learns`."""


class PairCheck(Check):
    """Two tables that agree row for row; each violation is a key, by the columns that rows belong together by."""

    @abstractmethod
    def agreement(self) -> TableComparison:
        """What must agree with what."""


class CatalogCheck(Check):
    """What the catalog says of the table; no row is read."""

    about_rows: ClassVar[bool] = False
    showable: ClassVar[tuple[str, ...] | None] = ()
    unit: ClassVar[tuple[str, str]] = ("column", "columns")

    @property
    def quotes_rows(self) -> bool:
        """Never: names of columns."""
        return False

    @abstractmethod
    def judge(self, table: TableInfo) -> list[Violation]:
        """What is wrong with the table."""


class FunctionCheck(Check):
    """Violations that the user's own code finds, with sanityd's own rights: the rules file must allow it."""

    @abstractmethod
    def find(self, read: Callable[[str], list[dict[str, Any]]]) -> Iterable[Mapping[str, Any]]:
        """The violations, as mappings with the rule's key. `read` runs one SELECT in the snapshot."""


class Judgement:
    """The answer of an aggregate check: a measured value, and violations that are keyed by words, not by rows."""

    def __init__(self, measured: float | None, faults: Iterable[tuple[str, int]] = ()) -> None:
        self.measured = measured
        self.violations = tuple(
            Violation({"fault": words}, detail=words, rows=rows) for words, rows in faults
        )


#: The label under which a QueryCheck tells how many rows a violation stands for.
ROWS = "sanityd_rows"
#: The label under which a population tells whether a key is in scope (1) or not (0).
IN_SCOPE = "sanityd_in_scope"

__all__ = [
    "IN_SCOPE",
    "ROWS",
    "AggregateCheck",
    "Candidates",
    "CatalogCheck",
    "Check",
    "ColumnCheck",
    "FunctionCheck",
    "Judgement",
    "Names",
    "OtherTable",
    "PairCheck",
    "QueryCheck",
    "Requirement",
    "RowCheck",
    "Scope",
    "TableComparison",
    "Value",
    "fault",
    "listed",
    "plural",
]
