"""The contract of a check kind.

A kind is one file in `kinds/`: a class whose fields are the options of the rule.

    Check
    ├── RowCheck          is_bad(scope) -> condition on one row
    │   └── ColumnCheck   is_bad_value(scope, column, expected) -> condition on one value
    ├── QueryCheck        violations(scope) -> SELECT of the keys that violate
    ├── AggregateCheck    measures(scope) -> values of all rows in scope; judge(...) -> violations
    ├── PairCheck         comparison() -> two tables that are equal row for row
    ├── CatalogCheck      judge(table) -> violations, from what the catalog says about the table
    └── FunctionCheck     find(read) -> violations, by the user's own code

A check builds SQLAlchemy expressions from a `Scope`, which knows the table, the rows in scope and
how the database's SQL differs. It does no I/O.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Self

from pydantic import model_validator
from sqlalchemy import ColumnElement, or_

from sanityd.checks.candidates import Candidates
from sanityd.checks.deviation import Measuring
from sanityd.checks.findings import Judgement
from sanityd.checks.requirements import (
    ComparedColumns,
    ListedWords,
    OtherTable,
    Requirement,
    TableComparison,
)
from sanityd.checks.scope import Scope
from sanityd.checks.short_form import ShortForm
from sanityd.checks.table_nouns import count_of_rows, plural
from sanityd.model import Measurements, Value, Violation
from sanityd.model.option_types import Names, as_list, option_error
from sanityd.sources.base import AnySelect
from sanityd.sources.catalog import TableInfo


class Check(ShortForm, Measuring, ABC):
    """What a rule says about rows. Subclasses set `kind`, and `short` if there is a short form."""

    kind: ClassVar[str]
    #: The name of the form by which it is evaluated, set by the classes below.
    form: ClassVar[str] = ""
    #: Whether `nulls: fail` has a meaning.
    judges_nulls: ClassVar[bool] = False
    #: Whether no rows in scope is a violation, where the rule doesn't say (`when_empty`).
    empty_fails: ClassVar[bool] = False
    #: Whether the rule names a `table` (else a `source`), where that doesn't depend on its options.
    needs_table: ClassVar[bool] = True
    #: Whether `where`, `within`, `window` and `when_empty` have a meaning.
    about_rows: ClassVar[bool] = True
    #: Whether violations are identified by the key of the table.
    needs_key: ClassVar[bool] = False
    #: Whether `within` has a meaning where a query stands in place of the rule's table.
    takes_age_of_query: ClassVar[bool] = False
    #: Whether the check itself says which columns identify a violation, so that `key` is an error.
    brings_own_key: ClassVar[bool] = False
    #: The columns that `show` may name: those of its SELECT. None: any column of the table.
    showable: ClassVar[tuple[str, ...] | None] = None
    #: Whether new rows, and the open violations, are enough to find what is new (`scan`).
    supports_new_rows: ClassVar[bool] = False
    #: Whether the same rows give the same result; SQL of the user may read a clock all the same.
    is_timeless: ClassVar[bool] = False
    #: Whether evaluating it for each row that is written, in a constraint, would be too slow.
    is_expensive: ClassVar[bool] = False
    #: Whether it compares with the values of earlier runs.
    learns: ClassVar[bool] = False
    #: Whether it runs the user's own code, which the rules file must allow.
    runs_code: ClassVar[bool] = False
    #: What one violation is called, and several.
    unit: ClassVar[tuple[str, str]] = ("row", "rows")

    def tables(self) -> Iterable[str]:
        """The other tables that it reads, as the rule names them."""
        return ()

    def sql(self) -> Iterable[str]:
        """The user's SQL conditions in its options, to be checked that they only read."""
        return ()

    def query_sql(self) -> str | None:
        """The user's SELECT in the rule's own source, to be checked that it only reads."""
        return None

    def query_elsewhere(self) -> OtherTable | None:
        """The user's SELECT in another source, to be checked that it only reads."""
        return None

    def proof(self, scope: Scope) -> str | None:
        """The constraint that proves the rule, so that no row need be read; None for none."""
        del scope
        return None

    @property
    def reads_table(self) -> bool:
        """Whether this rule names a `table` (else a `source`)."""
        return self.needs_table

    @property
    def reads_clock(self) -> bool:
        """Whether the same rows give another result later, so that new rows are not enough."""
        return False

    def value_columns(self) -> Iterable[str]:
        """The columns whose values are compared with what the rule says."""
        return ()

    def listed_words(self) -> Iterable[ListedWords]:
        """The lists of words that values are compared with."""
        return ()

    def compared_columns(self) -> Sequence[ComparedColumns]:
        """The columns that are compared with those of other tables."""
        return ()

    @property
    def quotes_rows(self) -> bool:
        """Whether keys of violations hold values of rows (else they are sanityd's own words)."""
        return True

    @abstractmethod
    def says(self, count: int) -> str:
        """What is wrong with `count` rows, as the end of a sentence: `have no row in mails`."""

    def counted(self, violations: int) -> str:
        """The number of violations with their unit; empty where the table is judged as a whole."""
        return f"{violations:,} {plural(violations, *self.unit)}"

    def amount(self, table: str, violations: int, rows: int, checked: int | None) -> str:
        """How much is wrong, as short as possible: `3 of 1,000 people`."""
        return count_of_rows(violations, checked, table)

    def sentence(self, table: str, violations: int, rows: int, checked: int | None) -> str:
        """What is wrong, in one sentence with its numbers, without a full stop."""
        return f"{self.amount(table, violations, rows, checked)} {self.says(violations)}"

    def fact(self, table: str, violations: int, rows: int, checked: int | None) -> str:
        """The same in fewer words, for the subject of a mail."""
        if violations == 1:
            return self.sentence(table, violations, rows, checked)
        return self.sentence(table, violations, rows, None)


class RowCheck(Check):
    """A condition on one row at a time."""

    form: ClassVar[str] = "row"
    needs_key: ClassVar[bool] = True
    supports_new_rows: ClassVar[bool] = True

    @abstractmethod
    def is_bad(self, scope: Scope) -> ColumnElement[bool]:
        """True for a row that violates.

        NULL is unknown, which passes unless the rule says `nulls: fail`.
        """

    def is_unknown(self, scope: Scope) -> ColumnElement[bool]:
        """True for a row that can't be judged, because a value is NULL."""
        return self.is_bad(scope).is_(None)

    def requirements(self) -> Sequence[Requirement]:
        """The rows that it requires in other tables, for when these are in another source."""
        return ()

    def compared_columns(self) -> Sequence[ComparedColumns]:
        """The columns by which rows are found in other tables."""
        return [
            ComparedColumns(requirement.table, requirement.on)
            for requirement in self.requirements()
        ]

    def reasons(self, scope: Scope) -> Mapping[str, ColumnElement[bool]]:
        """What can be wrong with a row, with its condition; empty if there is only one."""
        return {}


class ColumnCheck(RowCheck):
    """A condition on single values: `columns` maps each column to what is expected of it."""

    short: ClassVar[str | None] = "columns"
    judges_nulls: ClassVar[bool] = True

    columns: Mapping[str, Any]

    def value_columns(self) -> Iterable[str]:
        """All of the columns."""
        return self.columns

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
        """Which of several columns is not as expected."""
        if len(self.columns) == 1:
            return {}
        return {
            name: self.is_bad_value(scope, name, expected)
            for name, expected in self.columns.items()
        }

    @model_validator(mode="after")
    def _names_a_column(self) -> Self:
        if not self.columns:
            raise option_error("names no column", "write at least one column")
        return self


class QueryCheck(Check):
    """A SELECT whose every row is a violation."""

    form: ClassVar[str] = "query"

    #: The columns of the SELECT that `describe` reads.
    describing: ClassVar[tuple[str, ...]] = ()

    def describe(self, values: Mapping[str, Value]) -> str:
        """What is wrong with a violation, in words, by its values of `describing`."""
        return ""

    @abstractmethod
    def key(self, scope: Scope) -> tuple[str, ...]:
        """The columns of the SELECT that identify a violation."""

    @abstractmethod
    def violations(self, scope: Scope) -> AnySelect:
        """One row per violation: the key, the columns to show, and `ROWS` if it counts several."""

    def violations_of_new_rows(self, scope: Scope, new: Scope) -> AnySelect | None:
        """The violations that rows of the scope `new` take part in; None if that saves nothing."""
        del scope, new
        return None

    def candidates(self, scope: Scope) -> Candidates | None:
        """A cheaper statement that shows where violations can be; None if there is none."""
        del scope
        return None

    def population(self, scope: Scope) -> AnySelect | None:
        """All keys, violating or not, and whether each is `IN_SCOPE`; None if that is unknown."""
        return None

    def measure(self, scope: Scope) -> ColumnElement[Any] | None:
        """The one value of the rows in scope that the rule is about; None for none."""
        return None


class AggregateCheck(Check):
    """Values of all rows in scope, judged outside of the database."""

    form: ClassVar[str] = "aggregate"
    showable: ClassVar[tuple[str, ...] | None] = ()

    @property
    def quotes_rows(self) -> bool:
        """Never."""
        return False

    @abstractmethod
    def measures(self, scope: Scope) -> Mapping[str, ColumnElement[Any]]:
        """Aggregate expressions over the rows in scope, by name."""

    def counted(self, violations: int) -> str:
        """Empty: the table is judged as a whole."""
        return ""

    def amount(self, table: str, violations: int, rows: int, checked: int | None) -> str:
        """The table with its number of rows in scope."""
        if checked is None:
            return table
        return f"{table}, {checked:,} {plural(checked, 'row', 'rows')}"

    def sentence(self, table: str, violations: int, rows: int, checked: int | None) -> str:
        """A sentence about the table as a whole."""
        if checked is None:
            return f"{table} {self.says(violations)}"
        population = f"({checked:,} {plural(checked, 'row', 'rows')} in scope)"
        return f"{table} {self.says(violations)} {population}"

    def fact(self, table: str, violations: int, rows: int, checked: int | None) -> str:
        """The same sentence: the size of the table is part of it."""
        return self.sentence(table, violations, rows, checked)

    def detail(self, measured: Mapping[str, Any], scope: Scope) -> str:
        """More about the measured values of a violation, as the end of a sentence; or nothing."""
        return ""

    @abstractmethod
    def judge(
        self, measured: Mapping[str, Any], checked: int, now: datetime, past: Measurements = ()
    ) -> Judgement:
        """Judge the measured values.

        `checked` is the number of rows in scope, `now` the database's clock, `past` the values of
        earlier runs, if it `learns`.
        """


class PairCheck(Check):
    """Two tables that are equal row for row.

    A violation is a key, by the columns that rows are matched by.
    """

    form: ClassVar[str] = "pair"
    brings_own_key: ClassVar[bool] = True
    takes_age_of_query: ClassVar[bool] = True

    @abstractmethod
    def comparison(self) -> TableComparison:
        """The other table, and the columns that must be equal."""

    def compared_columns(self) -> Sequence[ComparedColumns]:
        """The columns that rows are matched by, and those that must be equal."""
        comparison = self.comparison()
        columns = {**comparison.on}
        for name, other_name in comparison.compare.items():
            columns.setdefault(name, other_name)
        return [ComparedColumns(comparison.other.table, columns)]


class CatalogCheck(Check):
    """What the catalog says about the table; no row is read."""

    form: ClassVar[str] = "catalog"
    about_rows: ClassVar[bool] = False
    showable: ClassVar[tuple[str, ...] | None] = ()
    unit: ClassVar[tuple[str, str]] = ("column", "columns")

    @property
    def quotes_rows(self) -> bool:
        """Never: keys are names of columns."""
        return False

    @abstractmethod
    def judge(self, table: TableInfo) -> list[Violation]:
        """What is wrong with the table."""


class FunctionCheck(Check):
    """Violations that the user's own code finds.

    It runs with the rights of sanityd, so the rules file must allow it.
    """

    form: ClassVar[str] = "function"
    runs_code: ClassVar[bool] = True

    @abstractmethod
    def find(self, read: Callable[[str], list[dict[str, Any]]]) -> Iterable[Mapping[str, Any]]:
        """The violations, as mappings with the rule's key. `read` runs a SELECT in the snapshot."""


#: The label of the number of rows that a violation of a QueryCheck counts.
ROWS = "sanityd_rows"
#: The label of the column of a population that says whether a key is in scope (1) or not (0).
IN_SCOPE = "sanityd_in_scope"

__all__ = [
    "IN_SCOPE",
    "ROWS",
    "AggregateCheck",
    "Candidates",
    "CatalogCheck",
    "Check",
    "ColumnCheck",
    "ComparedColumns",
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
    "as_list",
    "option_error",
    "plural",
]
