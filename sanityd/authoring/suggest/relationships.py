"""Guess from names which columns reference which tables: `person_id` → `people`.

Also `country` → `countries`, whose codes it may hold.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from sanityd.authoring.suggest.naming import REFERENCE_SUFFIXES, singulars, words
from sanityd.authoring.suggest.profile import ColumnProfile, TableProfile, is_nameable
from sanityd.sources.catalog import Family

#: Families whose values can equal those of other families.
_COMPARABLE = {
    Family.INTEGER: {Family.INTEGER, Family.NUMBER},
    Family.TEXT: {Family.TEXT, Family.UUID},
}
#: The words that name one row of a table: `order_line_id` has the stem (order, line).
Stem = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Referrer:
    """A column that may reference a table by its column `key`."""

    table: TableProfile
    column: str
    key: str


class Relationships:
    """The references between some tables, as their names suggest them."""

    def __init__(self, tables: Sequence[TableProfile]) -> None:
        self.tables = [table for table in tables if is_nameable(table.name, table.info.schema)]

    def targets(self, table: TableProfile, column: ColumnProfile) -> list[tuple[TableProfile, str]]:
        """Return the tables that a column may reference, each with its key.

        Tables of the same schema come first, then those with the longest name:
        `billing_address_id` rather references `billing_addresses` than `addresses`.
        """
        targets: dict[str, tuple[TableProfile, str]] = {}
        for other in self._tables_named_by(table, column):
            if other.title == table.title:
                continue
            key = key_of(other, column)
            if key is not None:
                targets[other.title] = (other, key)
        schema = table.info.schema
        return sorted(
            targets.values(),
            key=lambda target: (target[0].info.schema != schema, -len(target[0].name)),
        )

    def referrers(self, table: TableProfile) -> list[Referrer]:
        """Return the columns that may reference a table."""
        return self._by_target.get(table.title, [])

    def _tables_named_by(self, table: TableProfile, column: ColumnProfile) -> list[TableProfile]:
        """Return the tables that the name of a column may mean."""
        stems = list(_stems(column))
        prefixed_stems: list[Stem] = []
        table_words = words(table.name)
        # `shop_orders.customer_id` means `shop_customers`.
        for end in range(1, len(table_words)):
            prefixed_stems += [(*table_words[:end], *stem) for stem in stems]
        tables: list[TableProfile] = []
        for stem in stems + prefixed_stems:
            tables += self._by_stem.get(stem, ())
        if tables:
            return tables
        # `user_id` means `auth_user`, if no other table ends in `user`.
        by_title: dict[str, TableProfile] = {}
        for stem in stems:
            for other in self._by_suffix.get(stem, ()):
                by_title[other.title] = other
        return list(by_title.values()) if len(by_title) == 1 else []

    @cached_property
    def _by_stem(self) -> dict[Stem, list[TableProfile]]:
        """The tables by the stems that name one of their rows."""
        by_stem: dict[Stem, list[TableProfile]] = {}
        for table in self.tables:
            *head, last = words(table.name) or [""]
            stems = {(*head, singular) for singular in singulars(last)}
            # `order_line_id` means `orderlines`, too.
            whole = "".join((*head, last))
            stems.update((singular,) for singular in singulars(whole))
            for stem in stems:
                by_stem.setdefault(stem, []).append(table)
        return by_stem

    @cached_property
    def _by_suffix(self) -> dict[Stem, list[TableProfile]]:
        """The tables by stems made of the last words of their names only."""
        by_suffix: dict[Stem, list[TableProfile]] = {}
        for table in self.tables:
            *head, last = words(table.name) or [""]
            for start in range(1, len(head) + 1):
                for singular in singulars(last):
                    by_suffix.setdefault((*head[start:], singular), []).append(table)
        return by_suffix

    @cached_property
    def _by_target(self) -> dict[str, list[Referrer]]:
        """The referencing columns, by the title of the referenced table."""
        by_target: dict[str, list[Referrer]] = {}
        for table in self.tables:
            for column in table.columns.values():
                if not is_nameable(column.name):
                    continue
                for target, key in self.targets(table, column):
                    referrer = Referrer(table, column.name, key)
                    by_target.setdefault(target.title, []).append(referrer)
        return by_target


def key_of(table: TableProfile, column: ColumnProfile) -> str | None:
    """Return the key of a table that a column can reference: their values are comparable.

    Returns None when there is none, or none that rules can name.
    """
    families = _COMPARABLE.get(column.family, {column.family})
    keys = [key[0] for key in table.info.keys if len(key) == 1]
    # For views, and for tables without a declared key.
    keys += [name for name in table.columns if name.lower() == "id" and name not in keys]
    for key in keys:
        if key in table.columns and table.columns[key].family in families and is_nameable(key):
            return key
    return None


def _stems(column: ColumnProfile) -> Iterator[Stem]:
    """Iterate over the stems that a column may mean.

    `billing_address_id` means a billing address, or an address.
    """
    name_words = words(column.name)
    if not name_words:
        return
    if name_words[-1] in REFERENCE_SUFFIXES:
        for start in range(len(name_words) - 1):
            yield name_words[start:-1]
            yield ("".join(name_words[start:-1]),)
    elif column.family in (Family.TEXT, Family.UUID):
        # `country` may hold the codes of `countries`.
        yield name_words
