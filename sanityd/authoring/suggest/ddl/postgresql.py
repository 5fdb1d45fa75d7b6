"""PostgreSQL: each constraint in two steps, of which the long one lets readers and writers go on."""

from collections.abc import Sequence

from sanityd.authoring.suggest.ddl.base import Constraint, ConstraintRequest, Ddl, impossible

_TWO_STEPS = (
    "The first statement holds a lock for a moment; VALIDATE reads the table while others write."
)


class PostgresqlDdl(Ddl):
    """`NOT VALID` and `VALIDATE`, `CONCURRENTLY` and `USING INDEX`."""

    def not_null(self, wanted: ConstraintRequest, columns: Sequence[str]) -> Constraint:
        """By a CHECK that was validated: then SET NOT NULL needn't read the table under its lock."""
        filled = " AND ".join(f"{wanted.quoted[name]} IS NOT NULL" for name in columns)
        alter = f"ALTER TABLE {wanted.table}"
        return Constraint(
            (
                f"{alter} ADD CONSTRAINT {wanted.name} CHECK ({filled}) NOT VALID",
                f"{alter} VALIDATE CONSTRAINT {wanted.name}",
                f"{alter} {', '.join(f'ALTER COLUMN {wanted.quoted[name]} SET NOT NULL' for name in columns)}",
                f"{alter} DROP CONSTRAINT {wanted.name}",
            ),
            f"{_TWO_STEPS} SET NOT NULL believes the CHECK, which is not needed after that.",
        )

    def unique(
        self, wanted: ConstraintRequest, columns: Sequence[str], where: str | None
    ) -> Constraint:
        """An index that is built while others write; a constraint can't be about some of the rows, so there it stays an
        index."""
        for name in columns:
            info = wanted.info.columns[name]
            if info.type == "citext" or info.collation:
                return impossible(
                    f"an index on {name} would take for the same what the rule tells apart"
                )
        index = f"CREATE UNIQUE INDEX CONCURRENTLY {wanted.name} ON {wanted.table} ({wanted.columns(columns)})"
        advice = "Outside of a transaction; if it fails, DROP INDEX CONCURRENTLY what it leaves."
        if where is not None:
            advice += " sanityd goes on looking: it does not read what an index is about."
            return Constraint((f"{index} WHERE ({where})",), advice, proves=False)
        use = f"ALTER TABLE {wanted.table} ADD CONSTRAINT {wanted.name} UNIQUE USING INDEX {wanted.name}"
        return Constraint((index, use), advice)

    def reference(
        self, wanted: ConstraintRequest, columns: Sequence[str], target: str, key: Sequence[str]
    ) -> Constraint:
        """The target must be unique, which the caller has seen to."""
        alter = f"ALTER TABLE {wanted.table}"
        to = f"FOREIGN KEY ({wanted.columns(columns)}) REFERENCES {target} ({', '.join(key)})"
        return Constraint(
            (
                f"{alter} ADD CONSTRAINT {wanted.name} {to} NOT VALID",
                f"{alter} VALIDATE CONSTRAINT {wanted.name}",
            ),
            f"{_TWO_STEPS} An index on the columns keeps deletes from the other table quick.",
        )

    def check(self, wanted: ConstraintRequest, condition: str) -> Constraint:
        """In two steps, too."""
        alter = f"ALTER TABLE {wanted.table}"
        return Constraint(
            (
                f"{alter} ADD CONSTRAINT {wanted.name} CHECK ({condition}) NOT VALID",
                f"{alter} VALIDATE CONSTRAINT {wanted.name}",
            ),
            _TWO_STEPS,
        )
