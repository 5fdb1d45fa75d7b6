"""DuckDB: unique indexes and NOT NULL can be added; other constraints need a new table."""

from collections.abc import Sequence

from sanityd.authoring.suggest.ddl.base import (
    Constraint,
    ConstraintRequest,
    Ddl,
    FoldedColumn,
    impossible,
)

_NEW_TABLE = "DuckDB can't add it to a table: make a new one with it and copy the rows"
_EXCLUSIVE = "Nobody else may have the file open."
_INDEXES = "Indexes of the table must be dropped before, and made again after."


class DuckdbDdl(Ddl):
    """Unique indexes, and altered columns."""

    def not_null(self, request: ConstraintRequest, columns: Sequence[str]) -> Constraint:
        """Return one ALTER TABLE for each column. A table with an index can't be altered."""
        statements, reverse = [], []
        for name in columns:
            altered = f"ALTER TABLE {request.table} ALTER COLUMN {request.quoted[name]}"
            statements.append(f"{altered} SET NOT NULL")
            reverse.append(f"{altered} DROP NOT NULL")
        advice = f"{_EXCLUSIVE} {_INDEXES}"
        return Constraint(tuple(statements), advice, reverse=tuple(reverse))

    def unique(
        self, request: ConstraintRequest, columns: Sequence[str], where: str | None
    ) -> Constraint:
        """Return a unique index."""
        if where is not None:
            return impossible("an index can't be about some of the rows")
        key = request.columns(columns)
        statement = f"CREATE UNIQUE INDEX {request.name} ON {request.table} ({key})"
        return Constraint((statement,), _EXCLUSIVE, reverse=(f"DROP INDEX {request.name}",))

    def unique_folded(
        self, request: ConstraintRequest, columns: Sequence[FoldedColumn]
    ) -> Constraint:
        """Return a unique index over expressions."""
        expressions = ", ".join(f"({request.folded(column)})" for column in columns)
        statement = f"CREATE UNIQUE INDEX {request.name} ON {request.table} ({expressions})"
        return Constraint((statement,), _EXCLUSIVE, reverse=(f"DROP INDEX {request.name}",))

    def reference(
        self, request: ConstraintRequest, columns: Sequence[str], target: str, key: Sequence[str]
    ) -> Constraint:
        """Return the clause for a new table."""
        clause = f"FOREIGN KEY ({request.columns(columns)}) REFERENCES {target} ({', '.join(key)})"
        return impossible(f"{_NEW_TABLE}: {clause}.")

    def check(self, request: ConstraintRequest, condition: str) -> Constraint:
        """Return the clause for a new table."""
        return impossible(f"{_NEW_TABLE}: CHECK ({condition}).")
