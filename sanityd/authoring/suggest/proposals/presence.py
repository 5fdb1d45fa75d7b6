"""`not_null`: what every row has so far, where its name says that it matters. A text of blanks counts as missing."""

from collections.abc import Iterator

from sanityd.authoring.suggest.naming import slug, vocabulary, words
from sanityd.authoring.suggest.profile import ColumnProfile, TableProfile
from sanityd.authoring.suggest.proposals.base import (
    ENOUGH,
    PRESENCE,
    Candidate,
    Surroundings,
    counted,
)
from sanityd.authoring.yaml_text import named
from sanityd.sources.catalog import Family

#: Last words of columns without which a row is of little use.
_MATTERS = vocabulary(
    "id uuid guid email mail name title status state type kind amount total price quantity qty currency "
    "code number no date created updated placed ordered sku slug username login key country"
)
#: Words for what a row may well be without.
_OPTIONAL = vocabulary(
    "parent deleted cancelled canceled closed ended end until middle second alt nick old"
)
#: Up to which share of the rows a missing value is a mistake rather than a habit.
_MISTAKES = 0.02
_MOST = 8


def candidates(table: TableProfile, tables: Surroundings) -> Iterator[Candidate]:
    """One rule for all columns that are always there, and one for each that nearly always is."""
    del tables
    if table.read < ENOUGH:
        return
    columns = [column for column in table.columns.values() if _matters(column)]
    always = [column for column in columns if not _missing(table, column) and column.info.nullable]
    if always:
        blank = any(column.family is Family.TEXT for column in always[:_MOST])
        yield _rule(
            table,
            [column.name for column in always[:_MOST]],
            "every-row-of-{table}-is-complete",
            blank=blank,
        )
    for column in columns:
        if 0 < _missing(table, column) <= max(_MISTAKES * table.read, 1):
            rule = f"every-row-of-{{table}}-has-{slug(column.name)}"
            yield _rule(table, [column.name], rule, blank=column.family is Family.TEXT)


def _rule(table: TableProfile, names: list[str], rule: str, *, blank: bool) -> Candidate:
    plain = names[0] if len(names) == 1 else names
    return Candidate(
        table,
        rule,
        "not_null",
        {"columns": plain, "blank": "fail"} if blank else plain,
        PRESENCE,
        f"not_null: {', '.join(map(named, names))}: {table.read:,} of {counted(table.read, 'row')} have a value",
        tolerance=max(_MISTAKES, 1 / table.read),
        about=tuple(names),
    )


def _missing(table: TableProfile, column: ColumnProfile) -> int:
    return table.read - column.filled + (column.blank or 0)


def _matters(column: ColumnProfile) -> bool:
    said = words(column.name)
    if not said or _OPTIONAL & {*said}:
        return False
    return said[-1] in _MATTERS or (
        said[-1] in ("at", "on") and len(said) > 1 and said[-2] in _MATTERS
    )
