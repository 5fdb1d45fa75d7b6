"""What a rule requires of another table, as its options say it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue

from sanityd.checks.invariant import Age
from sanityd.model.option_types import option_error


@dataclass(frozen=True, slots=True)
class Requirement:
    """The counterparts that a row must have in another table, found by the columns `on`.

    There must be `low` to `high` of them; a `high` of None means that there is no upper limit.
    """

    on: Mapping[str, str]
    table: str
    where: str | None = None
    low: int = 1
    high: int | None = None

    @property
    def forbids(self) -> bool:
        """Whether rows in the other table are violations (`none`, `at most N`)."""
        return self.low == 0


class ComparedColumns(NamedTuple):
    """Columns of the rule's table, each with the column of another table that it is compared with.

    `table` is None where a query stands in place of the other table.
    """

    table: str | None
    columns: Mapping[str, str]


class ListedWords(NamedTuple):
    """Words that values of a column are compared with; `allowed` values are right, others wrong."""

    column: str
    words: tuple[str, ...]
    allowed: bool


class OtherTable(BaseModel):
    """Another table, or a SELECT in a source in place of one.

    The name of a table alone is the short form.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    table: str | None = Field(
        None, description="The table: `source.table`.", examples=["ledger.entries"]
    )
    source: str | None = Field(
        None, description="The source that the query runs in.", examples=["ledger"]
    )
    query: str | None = Field(
        None,
        description="A SELECT whose columns are what the rule names.",
        examples=["select ref, sum(amount) from …"],
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: Any, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The schema of both forms."""
        return {"anyOf": [handler.resolve_ref_schema(handler(core)), {"type": "string"}]}

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"table": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.table is None) == (self.source is None or self.query is None):
            raise option_error(
                "needs a table, or a source and a query",
                "write `source.table`, or `{source: …, query: …}`",
            )
        return self

    def __str__(self) -> str:
        """The name of the table, or `the query in SOURCE`, for sentences."""
        return self.table or f"the query in {self.source}"

    def __repr_name__(self) -> str:
        # `Invariant.meaning` hashes the repr of a check, and stores keep that hash: under
        # another name every rule that compares tables would count as changed.
        return "There"


@dataclass(frozen=True, slots=True)
class TableComparison:
    """Two tables that are equal: rows with the same `on` have the same values in `compare`.

    `other` is the other table or query, narrowed by `where`; `extra_fails` says whether rows that
    only the other table has are violations; `within` is the age below which rows there are not
    judged.
    """

    other: OtherTable
    on: Mapping[str, str]
    compare: Mapping[str, str]
    where: str | None = None
    extra_fails: bool = True
    within: Age | None = None
