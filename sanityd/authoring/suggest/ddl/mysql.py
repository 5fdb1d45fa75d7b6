"""MariaDB and MySQL: in place and without a lock where that is possible; some must copy the table."""

from collections.abc import Sequence

from sanityd.authoring.suggest.ddl.base import Constraint, ConstraintRequest, Ddl, impossible
from sanityd.sources.catalog import Family

_IN_PLACE = "ALGORITHM=INPLACE, LOCK=NONE"
_COPIES = "The table is copied while writers wait; at a quiet hour, or with pt-online-schema-change or gh-ost."
_GOES_ON = "sanityd goes on looking, since a session may switch it off."


class MysqlDdl(Ddl):
    """One ALTER TABLE each."""

    def not_null(self, wanted: ConstraintRequest, columns: Sequence[str]) -> Constraint:
        """MODIFY says the whole column anew, of which the catalog tells us the type and the collation."""
        parts = []
        for name in columns:
            info = wanted.info.columns[name]
            collation = f" COLLATE {info.collation}" if info.collation else ""
            parts.append(f"MODIFY {wanted.quoted[name]} {info.type}{collation} NOT NULL")
        return Constraint(
            (f"ALTER TABLE {wanted.table} {', '.join(parts)}, {_IN_PLACE}",),
            "MODIFY says the whole column anew: add its DEFAULT, COMMENT and the like, as SHOW CREATE TABLE has them.",
        )

    def unique(
        self, wanted: ConstraintRequest, columns: Sequence[str], where: str | None
    ) -> Constraint:
        """Where the collation tells apart what the rule tells apart."""
        if where is not None:
            return impossible("an index can't be about some of the rows")
        for name in columns:
            info = wanted.info.columns[name]
            if info.type.endswith(("text", "blob")):
                return impossible(
                    f"an index on {name} ({info.type}) would be about its first characters only"
                )
            exact = info.collation is None or info.collation.endswith(("nopad_bin", "0900_bin"))
            if info.family in (Family.TEXT, Family.ENUM) and not exact:
                return impossible(
                    f"the collation of {name} takes for the same what the rule tells apart"
                )
        add = f"ADD UNIQUE INDEX {wanted.name} ({wanted.columns(columns)})"
        return Constraint(
            (f"ALTER TABLE {wanted.table} {add}, {_IN_PLACE}",), "Others read and write meanwhile."
        )

    def reference(
        self, wanted: ConstraintRequest, columns: Sequence[str], target: str, key: Sequence[str]
    ) -> Constraint:
        """In place would be possible only unchecked."""
        to = f"FOREIGN KEY ({wanted.columns(columns)}) REFERENCES {target} ({', '.join(key)})"
        statement = f"ALTER TABLE {wanted.table} ADD CONSTRAINT {wanted.name} {to}, ALGORITHM=COPY, LOCK=SHARED"
        return Constraint((statement,), f"{_COPIES} {_GOES_ON}", proves=False)

    def check(self, wanted: ConstraintRequest, condition: str) -> Constraint:
        """In place would be possible only unchecked."""
        if "\\" in condition:
            return impossible(
                "its text has a backslash, which means something else in each SQL mode"
            )
        statement = f"ALTER TABLE {wanted.table} ADD CONSTRAINT {wanted.name} CHECK ({condition})"
        return Constraint(
            (f"{statement}, ALGORITHM=COPY, LOCK=SHARED",), f"{_COPIES} {_GOES_ON}", proves=False
        )
