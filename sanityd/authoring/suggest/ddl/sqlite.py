"""SQLite: indexes can be added; for anything else the table must be made anew."""

from collections.abc import Sequence

from sanityd.authoring.suggest.ddl.base import Constraint, ConstraintRequest, Ddl, impossible
from sanityd.sources.catalog import Family

_REBUILT = "SQLite can't add it to a table: make a new one with it, copy the rows, and rename it (lang_altertable.html, 7)"


class SqliteDdl(Ddl):
    """Unique indexes."""

    def not_null(self, wanted: ConstraintRequest, columns: Sequence[str]) -> Constraint:
        """Only in a new table."""
        return impossible(
            f"{_REBUILT}: {', '.join(f'{wanted.quoted[name]} … NOT NULL' for name in columns)}."
        )

    def unique(
        self, wanted: ConstraintRequest, columns: Sequence[str], where: str | None
    ) -> Constraint:
        """Texts are compared to the letter, as the rule does, whatever the column's collation says."""
        texts = (Family.TEXT, Family.OTHER)
        parts = ", ".join(
            f"{wanted.quoted[name]}{' COLLATE BINARY' if wanted.info.columns[name].family in texts else ''}"
            for name in columns
        )
        index = f"CREATE UNIQUE INDEX {wanted.name} ON {wanted.table} ({parts})"
        advice = "Writers wait meanwhile."
        if where is not None:
            advice += " sanityd goes on looking: it does not read what an index is about."
            return Constraint((f"{index} WHERE ({where})",), advice, proves=False)
        return Constraint((index,), advice)

    def reference(
        self, wanted: ConstraintRequest, columns: Sequence[str], target: str, key: Sequence[str]
    ) -> Constraint:
        """Only in a new table; and each connection must switch it on."""
        to = f"FOREIGN KEY ({wanted.columns(columns)}) REFERENCES {target} ({', '.join(key)})"
        return impossible(
            f"{_REBUILT}: {to}; and each connection must say PRAGMA foreign_keys = ON."
        )

    def check(self, wanted: ConstraintRequest, condition: str) -> Constraint:
        """Only in a new table."""
        return impossible(f"{_REBUILT}: CHECK ({condition}).")
