"""`same_as`: two tables agree row for row."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from sanityd.checks.base import OtherTable, PairCheck, TableComparison, plural
from sanityd.model.option_types import listed


def _columns(value: Any) -> Any:
    """`id` and `[id, line]` are columns of the same name on both sides."""
    names = listed(value)
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return {name: name for name in names}
    return value


_Written = str | list[str] | dict[str, str]
Columns = Annotated[Mapping[str, str], BeforeValidator(_columns, json_schema_input_type=_Written)]


class SameAs(PairCheck):
    """Two tables, or two queries, agree row for row: nothing is missing there, nothing is there that isn't here, and
    the compared columns hold the same values.

    ```yaml
    same_as: {in: ledger.entries, on: {id: payment_id}, compare: {amount: amount, currency: ccy}}
    same_as: {in: app.people_copy, on: id, compare: [name, email]}
    same_as: {in: {source: ledger, query: select ref from entries group by ref}, on: {id: ref}}
    ```

    `on` says by which columns rows belong together, `compare` which columns must agree; `[a, b]` are columns of the
    same name on both sides. Without `compare` only the rows themselves are looked for. The tables may be in two
    databases: values are compared as values, whatever their types (`1`, `1.0` and `'1'` are one number). NULL agrees
    with NULL and with nothing else; a row whose `on` is NULL is not compared. Several rows of one key must agree as a
    whole.

    A violation is a key: missing there, not here, or differing (and in which columns). `where`, `within` and `window`
    of the rule narrow the rows here, the check's own `where` those there. A row there is too much when no row here that
    the rule's `where` picks has its key, however young or old; `extra: pass` lets such rows be. Instead of a table the
    rule may have a query of its own: `source: app` and `same_as: {query: SELECT …, in: …}`. A column in both `compare`
    and `show` is shown with both values.
    """

    kind: ClassVar[str] = "same_as"

    in_: OtherTable = Field(alias="in", description="The other table, or a `source` and a `query`.")
    on: Columns = Field(
        min_length=1, description="Columns of this table, each with its column there."
    )
    compare: Columns = Field({}, description="Columns that must agree, each with its column there.")
    where: str | None = Field(
        None,
        description="A SQL condition that picks among the rows there.",
        examples=["voided = 0"],
    )
    extra: Literal["pass", "fail"] = Field(
        "fail", description="Whether rows there that aren't here violate."
    )
    query: str | None = Field(
        None,
        description="A SELECT in place of the rule's table.",
        examples=["select id, total from orders"],
    )

    @property
    def reads_table(self) -> bool:
        """It has its own query, or the rule's table."""
        return self.query is None

    def comparison(self) -> TableComparison:
        """What must agree with what."""
        return TableComparison(self.in_, self.on, self.compare, self.where, self.extra == "fail")

    def tables(self) -> Iterable[str]:
        """The other table."""
        return () if self.in_.table is None else (self.in_.table,)

    def sql(self) -> Iterable[str]:
        """The condition on the rows there."""
        return () if self.where is None else (self.where,)

    def query_sql(self) -> str | None:
        """The SELECT in place of the rule's table."""
        return self.query

    def query_there(self) -> OtherTable | None:
        """The SELECT in place of the other table."""
        return self.in_ if self.in_.table is None else None

    def says(self, count: int) -> str:
        """The end of the sentence."""
        return f"{plural(count, 'does', 'do')} not agree with {self.in_}"
