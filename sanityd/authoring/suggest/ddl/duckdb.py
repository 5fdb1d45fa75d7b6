"""DuckDB: unique indexes and NOT NULL can be added; anything else takes a new table."""

from collections.abc import Sequence

from sanityd.authoring.suggest.ddl.base import Constraint, ConstraintRequest, Ddl, impossible

_REBUILT = "DuckDB can't add it to a table: make a new one with it and copy the rows"
_ALONE = "Nobody else may have the file open."


class DuckdbDdl(Ddl):
    """Indexes, and columns that are altered."""

    def not_null(self, wanted: ConstraintRequest, columns: Sequence[str]) -> Constraint:
        """A table that has an index can't be altered before that is dropped."""
        alter = (
            f"ALTER TABLE {wanted.table} ALTER COLUMN {wanted.quoted[name]} SET NOT NULL"
            for name in columns
        )
        return Constraint(
            tuple(alter),
            f"{_ALONE} Indexes of the table must be dropped before, and made again after.",
        )

    def unique(
        self, wanted: ConstraintRequest, columns: Sequence[str], where: str | None
    ) -> Constraint:
        """As an index."""
        if where is not None:
            return impossible("an index can't be about some of the rows")
        index = f"CREATE UNIQUE INDEX {wanted.name} ON {wanted.table} ({wanted.columns(columns)})"
        return Constraint((index,), _ALONE)

    def reference(
        self, wanted: ConstraintRequest, columns: Sequence[str], target: str, key: Sequence[str]
    ) -> Constraint:
        """Only in a new table."""
        to = f"FOREIGN KEY ({wanted.columns(columns)}) REFERENCES {target} ({', '.join(key)})"
        return impossible(f"{_REBUILT}: {to}.")

    def check(self, wanted: ConstraintRequest, condition: str) -> Constraint:
        """Only in a new table."""
        return impossible(f"{_REBUILT}: CHECK ({condition}).")
