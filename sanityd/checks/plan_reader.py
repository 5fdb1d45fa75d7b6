"""All that planning reads: the catalog, the highest value of a column, and what is unchanged."""

from sqlalchemy import ColumnElement, func, select

from sanityd.checks.invariant import Invariant
from sanityd.checks.plan import Elsewhere
from sanityd.checks.scope import Scope
from sanityd.errors import CheckError, SourceError
from sanityd.model import Value
from sanityd.sources.base import Snapshot


class PlanReader:
    """Asks a snapshot what the planner must know; what several rules need is asked once.

    Parameters: `elsewhere` returns the snapshots of other sources; `faults` collects what is
    wrong with the names in a rule, which otherwise raises CheckError at once.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        elsewhere: Elsewhere | None = None,
        faults: list[CheckError] | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._elsewhere = elsewhere
        self._highest: dict[object, int] = {}
        self._has_state = False
        self._state: str | None = None
        self.faults = faults

    def scope(self, invariant: Invariant, *, query: str | None = None) -> Scope:
        """The rows that a rule is about, or those of a `query` in place of its table.

        Raises CheckError when the table doesn't exist.
        """
        return Scope(self._snapshot, invariant.subject, query=query, faults=self.faults)

    def new_rows(self, invariant: Invariant, column: str, since: Value) -> Scope:
        """The rows in scope whose `column` is at least `since`."""
        return Scope(self._snapshot, invariant.subject, newer=(column, since))

    def other_snapshot(self, invariant: Invariant) -> Snapshot:
        """The snapshot of the other table: of this source, unless the rule names another.

        Raises CheckError when the other source can't be read.
        """
        if invariant.elsewhere is None:
            return self._snapshot
        if self._elsewhere is None:
            raise CheckError(f"`{invariant.elsewhere}` is another source, which is not read now")
        try:
            return self._elsewhere(invariant.elsewhere)
        except SourceError as error:
            message = f"the other table can't be read: {error.message}"
            raise CheckError(message, error.hint) from None

    def rules_out(self, scope: Scope, condition: ColumnElement[bool]) -> bool:
        """Whether the database itself expects no row with a condition, by its own constraints.

        Raises CheckError when the condition is wrong.
        """
        statement = select(1).select_from(scope.table).where(condition)
        forecast = self._snapshot.forecast(statement)
        return forecast is not None and forecast.impossible

    def highest(self, scope: Scope, column: str) -> int:
        """The highest value in a column of whole numbers; 0 in an empty table.

        Raises CheckError when it is no number.
        """
        asked = scope.subject.table, column
        if asked not in self._highest:
            statement = select(func.max(scope.column(column))).select_from(scope.table)
            [(value,)] = self._snapshot.rows(statement)
            if not isinstance(value, int | None):
                raise CheckError(
                    f"`{column}` can't tell which rows are new: it has values that are no numbers",
                    "Repair them, or take `scan` out.",
                    word=column,
                )
            self._highest[asked] = value or 0
        return self._highest[asked]

    def state(self) -> str | None:
        """The state of all plain tables as one text; None where the database can't tell."""
        if not self._has_state:
            self._state = self._snapshot.state()
            self._has_state = True
        return self._state
