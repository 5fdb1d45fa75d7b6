"""Which columns point at rows of which tables, by their names: `person_id` at `people`, `country` at `countries`.

No idea of its own; two are built on it.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

from sanityd.authoring.suggest.naming import POINTERS, singulars, words
from sanityd.authoring.suggest.profile import ColumnProfile, TableProfile, is_nameable
from sanityd.sources.catalog import Family

#: Families whose values can be equal to each other.
_ALIKE = {Family.INTEGER: {Family.INTEGER, Family.NUMBER}, Family.TEXT: {Family.TEXT, Family.UUID}}
Stem = tuple[str, ...]


class Pointers:
    """What points where among some tables. Made once, however many tables there are."""

    def __init__(self, tables: Sequence[TableProfile]) -> None:
        self.tables = [table for table in tables if is_nameable(table.name, table.info.schema)]

    def targets(self, table: TableProfile, column: ColumnProfile) -> list[tuple[TableProfile, str]]:
        """The tables that a column may point at, each with its key; those of the same schema and with the longest name
        first: `billing_address_id` is rather of `billing_addresses` than of `addresses`."""
        stems = list(_stems(column))
        own_words = words(table.name)
        # `shop_orders.customer_id` speaks of `shop_customers`.
        kin = [(*own_words[:end], *stem) for end in range(1, len(own_words)) for stem in stems]
        close = [other for stem in (*stems, *kin) for other in self._by_stem.get(stem, ())]
        if not close:
            # `user_id` of `auth_user`, if there is no other user.
            ends = {other.title: other for stem in stems for other in self._by_end.get(stem, ())}
            close = list(ends.values()) if len(ends) == 1 else []
        found = {
            other.title: (other, key)
            for other in close
            if other.title != table.title and (key := key_of(other, column)) is not None
        }
        own = table.info.schema
        return sorted(
            found.values(), key=lambda each: (each[0].info.schema != own, -len(each[0].name))
        )

    def at(self, table: TableProfile) -> list[tuple[TableProfile, str, str]]:
        """What points at a table: the other table, its column, and the column here that is meant."""
        return self._by_target.get(table.title, [])

    @cached_property
    def _by_stem(self) -> dict[Stem, list[TableProfile]]:
        found: dict[Stem, list[TableProfile]] = {}
        for table in self.tables:
            *head, last = words(table.name) or [""]
            whole = "".join((*head, last))
            # `orderlines` is what `order_line_id` means, too.
            stems = {(*head, one) for one in singulars(last)} | {(one,) for one in singulars(whole)}
            for stem in stems:
                found.setdefault(stem, []).append(table)
        return found

    @cached_property
    def _by_end(self) -> dict[Stem, list[TableProfile]]:
        """By the last words of their names alone."""
        found: dict[Stem, list[TableProfile]] = {}
        for table in self.tables:
            *head, last = words(table.name) or [""]
            for at in range(1, len(head) + 1):
                for one in singulars(last):
                    found.setdefault((*head[at:], one), []).append(table)
        return found

    @cached_property
    def _by_target(self) -> dict[str, list[tuple[TableProfile, str, str]]]:
        found: dict[str, list[tuple[TableProfile, str, str]]] = {}
        for table in self.tables:
            for column in table.columns.values():
                if is_nameable(column.name):
                    for other, key in self.targets(table, column):
                        found.setdefault(other.title, []).append((table, column.name, key))
        return found


def key_of(table: TableProfile, column: ColumnProfile) -> str | None:
    """The column that names a row of the table, if it holds values of that kind; None for none that rules can name."""
    kinds = _ALIKE.get(column.family, {column.family})
    singles = [key[0] for key in table.info.keys if len(key) == 1]
    # A view, and a table that nobody gave a key.
    singles += [name for name in table.columns if name.lower() == "id" and name not in singles]
    fitting = (
        key for key in singles if key in table.columns and table.columns[key].family in kinds
    )
    return next((key for key in fitting if is_nameable(key)), None)


def _stems(column: ColumnProfile) -> Iterator[Stem]:
    """What a column may speak of: `billing_address_id` of a billing address, or of an address."""
    said = words(column.name)
    if said[-1:] and said[-1] in POINTERS:
        for at in range(len(said) - 1):
            yield said[at:-1]
            yield ("".join(said[at:-1]),)
    # `country`, which holds codes of `countries`.
    elif said and column.family in (Family.TEXT, Family.UUID):
        yield said
