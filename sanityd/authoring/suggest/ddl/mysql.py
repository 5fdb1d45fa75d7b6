"""MariaDB and MySQL: constraints are added online where possible; some copy the table."""

from collections.abc import Sequence

from sanityd.authoring.suggest.ddl.base import (
    Constraint,
    ConstraintRequest,
    Ddl,
    FoldedColumn,
    impossible,
)
from sanityd.sources.catalog import ColumnInfo, Family

_ONLINE = "ALGORITHM=INPLACE, LOCK=NONE"
_COPYING = "ALGORITHM=COPY, LOCK=SHARED"
_COPY_ADVICE = (
    "The table is copied while writers wait; at a quiet hour, or with pt-online-schema-change"
    " or gh-ost."
)
_NOT_TRUSTED = "sanityd keeps checking the rule, since a session may switch it off."
_LOOSE = "The index equates what the collation of the column equates, which may be more."
_NOT_READ = "sanityd keeps checking the rule: it does not read the expression of a column."
_MODIFY_ADVICE = (
    "MODIFY replaces the definition of the column: add its DEFAULT, COMMENT and the like, as SHOW"
    " CREATE TABLE has them."
)


class MysqlDdl(Ddl):
    """One ALTER TABLE for each constraint."""

    def not_null(self, request: ConstraintRequest, columns: Sequence[str]) -> Constraint:
        """Return MODIFY clauses, with the type and the collation from the catalog.

        MODIFY replaces the whole definition of the column.
        """
        statement = _modified(request, columns, "NOT NULL")
        return Constraint(
            (statement,), _MODIFY_ADVICE, reverse=(_modified(request, columns, "NULL"),)
        )

    def unique(
        self, request: ConstraintRequest, columns: Sequence[str], where: str | None
    ) -> Constraint:
        """Return a unique index, where its collation distinguishes what the rule does."""
        if where is not None:
            return impossible("an index can't be about some of the rows")
        for name in columns:
            info = request.info.columns[name]
            if info.type.endswith(("text", "blob")):
                return impossible(
                    f"an index on {name} ({info.type}) would be about its first characters only"
                )
            if info.family in (Family.TEXT, Family.ENUM) and not _compares_exactly(info):
                return impossible(
                    f"the collation of {name} equates values that the rule distinguishes"
                )
        index = f"ADD UNIQUE INDEX {request.name} ({request.columns(columns)})"
        statement = f"ALTER TABLE {request.table} {index}, {_ONLINE}"
        return Constraint(
            (statement,), "Others read and write meanwhile.", reverse=(_without_index(request),)
        )

    def unique_folded(
        self, request: ConstraintRequest, columns: Sequence[FoldedColumn]
    ) -> Constraint:
        """Return virtual columns with the folded texts, and a unique index on them."""
        virtual, parts = [], []
        for column in columns:
            info = request.info.columns[column.name]
            if info.type.endswith(("text", "blob")):
                return impossible(
                    f"an index on {column.name} ({info.type}) would be about its first characters"
                    " only"
                )
            if not column.ignore:
                parts.append(request.quoted[column.name])
                continue
            name = f"`{column.name}_folded`"
            expression = request.folded(column)
            virtual.append(f"ADD COLUMN {name} {info.type} AS ({expression}) VIRTUAL")
            parts.append(name)
        names = [part.removeprefix("ADD COLUMN ").partition(" ")[0] for part in virtual]
        index = f"ADD UNIQUE INDEX {request.name} ({', '.join(parts)})"
        drops = ", ".join(f"DROP COLUMN {name}" for name in names)
        return Constraint(
            (
                f"ALTER TABLE {request.table} {', '.join(virtual)}",
                f"ALTER TABLE {request.table} {index}",
            ),
            f"The columns are virtual: they need no copy. {_LOOSE} {_NOT_READ}",
            proves=False,
            reverse=(
                f"ALTER TABLE {request.table} DROP INDEX {request.name}",
                f"ALTER TABLE {request.table} {drops}",
            ),
        )

    def reference(
        self, request: ConstraintRequest, columns: Sequence[str], target: str, key: Sequence[str]
    ) -> Constraint:
        """Return a foreign key. Adding it online would not check the rows."""
        clause = f"FOREIGN KEY ({request.columns(columns)}) REFERENCES {target} ({', '.join(key)})"
        return _copying(request, clause, "FOREIGN KEY")

    def check(self, request: ConstraintRequest, condition: str) -> Constraint:
        """Return a CHECK. Adding it online would not check the rows."""
        if "\\" in condition:
            return impossible(
                "its text has a backslash, which means something else in each SQL mode"
            )
        return _copying(request, f"CHECK ({condition})", "CONSTRAINT")


def _modified(request: ConstraintRequest, columns: Sequence[str], null: str) -> str:
    """Return the statement that defines columns anew, with NULL or NOT NULL."""
    parts = []
    for name in columns:
        info = request.info.columns[name]
        collation = f" COLLATE {info.collation}" if info.collation else ""
        parts.append(f"MODIFY {request.quoted[name]} {info.type}{collation} {null}")
    return f"ALTER TABLE {request.table} {', '.join(parts)}, {_ONLINE}"


def _without_index(request: ConstraintRequest) -> str:
    return f"ALTER TABLE {request.table} DROP INDEX {request.name}, {_ONLINE}"


def _copying(request: ConstraintRequest, clause: str, kind: str) -> Constraint:
    """Return a constraint that is added by a copy of the table, and that proves nothing."""
    constraint = f"ADD CONSTRAINT {request.name} {clause}"
    statement = f"ALTER TABLE {request.table} {constraint}, {_COPYING}"
    return Constraint(
        (statement,),
        f"{_COPY_ADVICE} {_NOT_TRUSTED}",
        proves=False,
        reverse=(f"ALTER TABLE {request.table} DROP {kind} {request.name}",),
    )


def _compares_exactly(info: ColumnInfo) -> bool:
    """Return whether the collation of a column distinguishes all values."""
    return info.collation is None or info.collation.endswith(("nopad_bin", "0900_bin"))
