"""`same_as`: two tables agree row for row."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from sanityd.checks.age_option import AgeOf
from sanityd.checks.base import OtherTable, PairCheck, TableComparison, plural
from sanityd.model.option_types import as_list


def _columns(value: Any) -> Any:
    """`id` and `[id, line]` are columns of the same name on both sides."""
    names = as_list(value)
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return {name: name for name in names}
    return value


_Written = str | list[str] | dict[str, str]
Columns = Annotated[Mapping[str, str], BeforeValidator(_columns, json_schema_input_type=_Written)]


class SameAs(PairCheck):
    """Two tables, or two queries, are equal row for row.

    No row is missing on either side, and the compared columns have the same values.

    ```yaml
    same_as: {in: ledger.entries, on: {id: payment_id}, compare: {amount: amount, currency: ccy}}
    same_as: {in: app.people_copy, on: id, compare: [name, email]}
    same_as: {in: {source: ledger, query: select ref from entries group by ref}, on: {id: ref}}
    same_as: {in: ledger.entries, on: {"'P' || id": ref}, within: 10m of booked_at}
    ```

    `on` names the columns by which rows are matched, `compare` the columns that must be equal; `[a,
    b]` are columns of the same name on both sides. In place of a column there may be a SQL
    expression over the columns of its table, in the SQL of its database. Without `compare`, only
    the existence of the rows is compared. The tables may be in two databases: values are compared
    as values, whatever their types (`1`, `1.0` and `'1'` are one number). NULL equals NULL and
    nothing else; a row with a NULL in `on` is not compared. Several rows with the same key must be
    equal as a whole.

    A violation is a key: missing in the other table, missing in the rule's own table, or different
    (and in which columns). `where`, `within` and `window` of the rule restrict the rows of its own
    table, the check's own `where` those of the other table. A row of the other table is a violation
    when no row that the rule's `where` selects has its key, of whatever age; with `extra: pass`
    such rows are allowed.

    Data need time from one side to the other. The rule's `within` is how old a row here must be to
    be judged, the check's own `within` how old a row there. A key is left out while its rows on
    one of the sides are too young, and they are counterparts all the same. A violation that is open
    stays open while the rows differ, however young they became.

    Instead of a table the rule may have a query of its own: `source: app`
    and `same_as: {query: SELECT …, in: …}`. A column in both `compare` and `show` is shown with
    both values.
    """

    kind: ClassVar[str] = "same_as"

    in_: OtherTable = Field(alias="in", description="The other table, or a `source` and a `query`.")
    on: Columns = Field(
        min_length=1,
        description="Columns of this table, or SQL expressions, each with its column there.",
    )
    compare: Columns = Field({}, description="Columns that must agree, each with its column there.")
    where: str | None = Field(
        None,
        description="A SQL condition that picks among the rows there.",
        examples=["voided = 0"],
    )
    within: AgeOf | None = Field(
        None,
        description="Rows there that are younger are not judged yet.",
        examples=["10m of booked_at"],
    )
    extra: Literal["pass", "fail"] = Field(
        "fail", description="Whether rows there that aren't here violate."
    )
    query: str | None = Field(
        None,
        description="A SELECT in place of the rule's table.",
        examples=["select id, total from orders"],
    )

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        # `Invariant.meaning` hashes the repr of a check, and stores keep that hash: an option that
        # came later is only in it where it is set.
        for name, value in super().__repr_args__():
            if name != "within" or value is not None:
                yield name, value

    @property
    def reads_table(self) -> bool:
        """It has its own query, or the rule's table."""
        return self.query is None

    def comparison(self) -> TableComparison:
        """What must agree with what."""
        return TableComparison(
            self.in_, self.on, self.compare, self.where, self.extra == "fail", self.within
        )

    def tables(self) -> Iterable[str]:
        """The other table."""
        return () if self.in_.table is None else (self.in_.table,)

    def sql(self) -> Iterable[str]:
        """The condition on the rows there."""
        return () if self.where is None else (self.where,)

    def query_sql(self) -> str | None:
        """The SELECT in place of the rule's table."""
        return self.query

    def query_elsewhere(self) -> OtherTable | None:
        """The SELECT in place of the other table."""
        return self.in_ if self.in_.table is None else None

    def says(self, count: int) -> str:
        """The end of the sentence."""
        return f"{plural(count, 'does', 'do')} not agree with {self.in_}"
