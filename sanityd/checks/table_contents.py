"""Whether a table has any rows in scope."""

from sqlalchemy import select

from sanityd.checks.scope import Scope


class TableContents:
    """Whether there are rows in scope, asked once for rules that are about the same rows.

    A table that was emptied has no new rows, and must not pass for that reason.
    """

    def __init__(self) -> None:
        self._exists: dict[object, bool] = {}

    def has_rows(self, scope: Scope) -> bool:
        """Whether any row is in scope."""
        if scope.extent not in self._exists:
            statement = select(1).select_from(scope.table).where(scope.rows).limit(1)
            self._exists[scope.extent] = bool(scope.snapshot.rows(statement))
        return self._exists[scope.extent]
