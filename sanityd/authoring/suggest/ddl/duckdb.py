"""DuckDB: unique indexes and NOT NULL can be added; other constraints need a new table."""

from collections.abc import Sequence

from sanityd.authoring.suggest.ddl.base import Constraint, ConstraintRequest, Ddl, impossible

_NEW_TABLE = "DuckDB can't add it to a table: make a new one with it and copy the rows"
_EXCLUSIVE = "Nobody else may have the file open."
_INDEXES = "Indexes of the table must be dropped before, and made again after."


class DuckdbDdl(Ddl):
    """Unique indexes, and altered columns."""

    def not_null(self, request: ConstraintRequest, columns: Sequence[str]) -> Constraint:
        """Return one ALTER TABLE for each column. A table with an index can't be altered."""
        statements = []
        for name in columns:
            column = request.quoted[name]
            statements.append(f"ALTER TABLE {request.table} ALTER COLUMN {column} SET NOT NULL")
        return Constraint(tuple(statements), f"{_EXCLUSIVE} {_INDEXES}")

    def unique(
        self, request: ConstraintRequest, columns: Sequence[str], where: str | None
    ) -> Constraint:
        """Return a unique index."""
        if where is not None:
            return impossible("an index can't be about some of the rows")
        key = request.columns(columns)
        statement = f"CREATE UNIQUE INDEX {request.name} ON {request.table} ({key})"
        return Constraint((statement,), _EXCLUSIVE)

    def reference(
        self, request: ConstraintRequest, columns: Sequence[str], target: str, key: Sequence[str]
    ) -> Constraint:
        """Return the clause for a new table."""
        clause = f"FOREIGN KEY ({request.columns(columns)}) REFERENCES {target} ({', '.join(key)})"
        return impossible(f"{_NEW_TABLE}: {clause}.")

    def check(self, request: ConstraintRequest, condition: str) -> Constraint:
        """Return the clause for a new table."""
        return impossible(f"{_NEW_TABLE}: CHECK ({condition}).")
