"""`query`: every row that a SELECT returns is a violation."""

from typing import ClassVar

from pydantic import Field
from sqlalchemy import select

from sanityd.checks.base import QueryCheck, Scope, plural
from sanityd.sources.base import AnySelect


class Query(QueryCheck):
    """Every row that the SELECT returns is a violation.

    The rule's `key` names the columns of the SELECT that identify one.

    ```yaml
    source: ledger
    query: select account, sum(amount) as rest from entries group by account having sum(amount) <> 0
    key: account
    show: [rest]
    ```
    """

    kind: ClassVar[str] = "query"
    short: ClassVar[str | None] = "select"
    needs_table: ClassVar[bool] = False

    select: str = Field(min_length=1, description="One SELECT, in the database's dialect.")

    def query_sql(self) -> str:
        """The SELECT."""
        return self.select

    def key(self, scope: Scope) -> tuple[str, ...]:
        """The columns that the rule names."""
        return scope.subject.key

    def violations(self, scope: Scope) -> AnySelect:
        """The SELECT itself, narrowed to the key and the columns to show."""
        rows = scope.snapshot.query(self.select)
        names = dict.fromkeys((*scope.subject.key, *scope.subject.show))
        for name in names:
            if name not in rows.c:
                scope.refuse(
                    f"the query returns no column `{name}`",
                    f"It returns {', '.join(rows.c.keys())}.",
                    name,
                )
        return select(*(rows.c[name] for name in names if name in rows.c))

    def amount(self, table: str, violations: int, rows: int, checked: int | None) -> str:
        """Counts what the query returned; of how many can't be known."""
        return f"{violations:,} {plural(violations, 'row', 'rows')}"

    def says(self, count: int) -> str:
        """The end of the sentence."""
        return f"{plural(count, 'is', 'are')} returned by its query"
