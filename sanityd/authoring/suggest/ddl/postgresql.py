"""PostgreSQL: constraints are added in two steps; the long one blocks neither reads nor writes."""

from collections.abc import Sequence
from typing import ClassVar

from sanityd.authoring.suggest.ddl.base import (
    Constraint,
    ConstraintRequest,
    Ddl,
    FoldedColumn,
    impossible,
)

_TWO_STEPS = (
    "The first statement holds a lock for a moment; VALIDATE reads the table while others write."
)
_CONCURRENTLY = "Outside of a transaction; if it fails, DROP INDEX CONCURRENTLY what it leaves."
_LOCKING = (
    "The table is locked while the index is built, which can't be done concurrently: at a quiet"
    " hour, with a lock_timeout."
)
_PARTIAL_INDEX = "sanityd keeps checking the rule: it does not read the condition of an index."


class PostgresqlDdl(Ddl):
    """`NOT VALID` and `VALIDATE`, `CONCURRENTLY` and `USING INDEX`."""

    has_ranges: ClassVar[bool] = True

    def not_null(self, request: ConstraintRequest, columns: Sequence[str]) -> Constraint:
        """Return a validated CHECK, by which SET NOT NULL needn't read the table when locked."""
        conditions = [f"{request.quoted[name]} IS NOT NULL" for name in columns]
        alterations = [f"ALTER COLUMN {request.quoted[name]} SET NOT NULL" for name in columns]
        statements = (
            *_in_two_steps(request, f"CHECK ({' AND '.join(conditions)})"),
            f"ALTER TABLE {request.table} {', '.join(alterations)}",
            f"ALTER TABLE {request.table} DROP CONSTRAINT {request.name}",
        )
        return Constraint(
            statements,
            f"{_TWO_STEPS} SET NOT NULL trusts the CHECK, which is not needed after that.",
            reverse=(
                f"ALTER TABLE {request.table} "
                + ", ".join(
                    f"ALTER COLUMN {request.quoted[name]} DROP NOT NULL" for name in columns
                ),
            ),
        )

    def unique(
        self, request: ConstraintRequest, columns: Sequence[str], where: str | None
    ) -> Constraint:
        """Return an index that is built concurrently, and a constraint that uses it.

        A constraint can't be about some of the rows: there only the index is returned.
        """
        for name in columns:
            info = request.info.columns[name]
            if info.type == "citext" or info.collation:
                return impossible(
                    f"an index on {name} would equate values that the rule distinguishes"
                )
        key = f"{request.table} ({request.columns(columns)})"
        index = f"CREATE UNIQUE INDEX CONCURRENTLY {request.name} ON {key}"
        if where is not None:
            statement = f"{index} WHERE ({where})"
            return Constraint(
                (statement,),
                f"{_CONCURRENTLY} {_PARTIAL_INDEX}",
                proves=False,
                reverse=_without_index(request),
            )
        constraint = f"ADD CONSTRAINT {request.name} UNIQUE USING INDEX {request.name}"
        return Constraint(
            (index, f"ALTER TABLE {request.table} {constraint}"),
            _CONCURRENTLY,
            reverse=_without_constraint(request),
        )

    def unique_folded(
        self, request: ConstraintRequest, columns: Sequence[FoldedColumn]
    ) -> Constraint:
        """Return an index over the expressions by which the rule compares, built concurrently."""
        expressions = ", ".join(f"({column.sql})" for column in columns)
        statement = (
            f"CREATE UNIQUE INDEX CONCURRENTLY {request.name} ON {request.table} ({expressions})"
        )
        return Constraint((statement,), _CONCURRENTLY, reverse=_without_index(request))

    def exclude(self, request: ConstraintRequest, definition: str, groups: bool) -> Constraint:
        """Return an EXCLUDE constraint. It can be built neither concurrently nor in two steps."""
        constraint = f"ALTER TABLE {request.table} ADD CONSTRAINT {request.name} {definition}"
        extension = ("CREATE EXTENSION IF NOT EXISTS btree_gist",) if groups else ()
        return Constraint((*extension, constraint), _LOCKING, reverse=_without_constraint(request))

    def reference(
        self, request: ConstraintRequest, columns: Sequence[str], target: str, key: Sequence[str]
    ) -> Constraint:
        """Return a foreign key. The caller has made sure that the target is unique."""
        clause = f"FOREIGN KEY ({request.columns(columns)}) REFERENCES {target} ({', '.join(key)})"
        return Constraint(
            _in_two_steps(request, clause),
            f"{_TWO_STEPS} An index on the columns keeps deletes from the other table quick.",
            reverse=_without_constraint(request),
        )

    def check(self, request: ConstraintRequest, condition: str) -> Constraint:
        """Return a CHECK."""
        return Constraint(
            _in_two_steps(request, f"CHECK ({condition})"),
            _TWO_STEPS,
            reverse=_without_constraint(request),
        )


def _without_constraint(request: ConstraintRequest) -> tuple[str, ...]:
    return (f"ALTER TABLE {request.table} DROP CONSTRAINT {request.name}",)


def _without_index(request: ConstraintRequest) -> tuple[str, ...]:
    """Return the statement that drops the index, which is in the schema of its table."""
    schema, _, _ = request.table.rpartition(".")
    prefix = f"{schema}." if schema else ""
    return (f"DROP INDEX CONCURRENTLY {prefix}{request.name}",)


def _in_two_steps(request: ConstraintRequest, clause: str) -> tuple[str, str]:
    """Return the statements that add a constraint, and that validate it."""
    alter = f"ALTER TABLE {request.table}"
    return (
        f"{alter} ADD CONSTRAINT {request.name} {clause} NOT VALID",
        f"{alter} VALIDATE CONSTRAINT {request.name}",
    )
