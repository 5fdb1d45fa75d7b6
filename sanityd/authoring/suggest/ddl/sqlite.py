"""SQLite: unique indexes can be added; other constraints need a new table."""

from collections.abc import Sequence

from sanityd.authoring.suggest.ddl.base import (
    Constraint,
    ConstraintRequest,
    Ddl,
    FoldedColumn,
    impossible,
)
from sanityd.sources.catalog import UNCOMMON, Family

_NEW_TABLE = (
    "SQLite can't add it to a table: make a new one with it, copy the rows, and rename it"
    " (lang_altertable.html, 7)"
)
_ASCII = "sanityd keeps checking the rule: SQLite's lower() knows the letters of ASCII only."
_PARTIAL_INDEX = "sanityd keeps checking the rule: it does not read the condition of an index."


class SqliteDdl(Ddl):
    """Unique indexes."""

    def not_null(self, request: ConstraintRequest, columns: Sequence[str]) -> Constraint:
        """Return the column definitions for a new table."""
        definitions = [f"{request.quoted[name]} … NOT NULL" for name in columns]
        return impossible(f"{_NEW_TABLE}: {', '.join(definitions)}.")

    def unique(
        self, request: ConstraintRequest, columns: Sequence[str], where: str | None
    ) -> Constraint:
        """Return a unique index that compares text exactly, as the rule does.

        The collation of the column may compare it differently.
        """
        parts = []
        for name in columns:
            part = request.quoted[name]
            if request.info.columns[name].family in UNCOMMON | {Family.TEXT}:
                part += " COLLATE BINARY"
            parts.append(part)
        index = f"CREATE UNIQUE INDEX {request.name} ON {request.table} ({', '.join(parts)})"
        advice = "Writers wait meanwhile."
        if where is not None:
            statement = f"{index} WHERE ({where})"
            return Constraint(
                (statement,),
                f"{advice} {_PARTIAL_INDEX}",
                proves=False,
                reverse=(f"DROP INDEX {request.name}",),
            )
        return Constraint((index,), advice, reverse=(f"DROP INDEX {request.name}",))

    def unique_folded(
        self, request: ConstraintRequest, columns: Sequence[FoldedColumn]
    ) -> Constraint:
        """Return a unique index over expressions, which know the letters of ASCII only."""
        expressions = ", ".join(request.folded(column) for column in columns)
        statement = f"CREATE UNIQUE INDEX {request.name} ON {request.table} ({expressions})"
        return Constraint(
            (statement,),
            f"Writers wait meanwhile. {_ASCII}",
            proves=False,
            reverse=(f"DROP INDEX {request.name}",),
        )

    def reference(
        self, request: ConstraintRequest, columns: Sequence[str], target: str, key: Sequence[str]
    ) -> Constraint:
        """Return the clause for a new table, which each connection must enable."""
        clause = f"FOREIGN KEY ({request.columns(columns)}) REFERENCES {target} ({', '.join(key)})"
        return impossible(
            f"{_NEW_TABLE}: {clause}; and each connection must say PRAGMA foreign_keys = ON."
        )

    def check(self, request: ConstraintRequest, condition: str) -> Constraint:
        """Return the clause for a new table."""
        return impossible(f"{_NEW_TABLE}: CHECK ({condition}).")
