"""`not_null`: columns with a value in every row so far, if their name says that they matter.

A text of blanks counts as a missing value.
"""

from collections.abc import Iterator, Sequence

from sanityd.authoring.suggest.naming import slug, vocabulary, words
from sanityd.authoring.suggest.profile import ColumnProfile, TableProfile
from sanityd.authoring.suggest.proposals.base import (
    MIN_ROWS,
    PRESENCE,
    Candidate,
    SourceContext,
    counted,
)
from sanityd.authoring.yaml_text import escaped_name
from sanityd.sources.catalog import Family

#: Last words of columns without which a row is of little use.
_REQUIRED_WORDS = vocabulary(
    "id uuid guid email mail name title status state type kind amount total price quantity qty"
    " currency code number no date created updated placed ordered sku slug username login key"
    " country"
)
#: Words for values that may well be missing.
_OPTIONAL_WORDS = vocabulary(
    "parent deleted cancelled canceled closed ended end until middle second alt nick old"
)
#: Up to this share of the rows, missing values are mistakes.
_MAX_MISTAKES = 0.02
#: Number of columns in one rule.
_MAX_COLUMNS = 8


def candidates(table: TableProfile, context: SourceContext) -> Iterator[Candidate]:
    """Iterate over one rule for all complete columns, and one for each nearly complete column."""
    del context
    if table.rows_read < MIN_ROWS:
        return
    required = [column for column in table.columns.values() if _is_required(column)]
    complete = [
        column for column in required if not _missing(table, column) and column.info.nullable
    ]
    if complete:
        yield _rule(table, complete[:_MAX_COLUMNS], "every-row-of-{table}-is-complete")
    for column in required:
        if 0 < _missing(table, column) <= max(_MAX_MISTAKES * table.rows_read, 1):
            yield _rule(table, [column], f"every-row-of-{{table}}-has-{slug(column.name)}")


def _rule(table: TableProfile, columns: Sequence[ColumnProfile], rule_id: str) -> Candidate:
    names = [column.name for column in columns]
    rows = counted(table.rows_read, "row")
    listed_names = ", ".join(escaped_name(name) for name in names)
    options: object = names[0] if len(names) == 1 else names
    if any(column.family is Family.TEXT for column in columns):
        options = {"columns": options, "blank": "fail"}
    return Candidate(
        table,
        rule_id,
        "not_null",
        options,
        PRESENCE,
        f"not_null: {listed_names}: {table.rows_read:,} of {rows} have a value",
        tolerance=max(_MAX_MISTAKES, 1 / table.rows_read),
        columns=tuple(names),
    )


def _missing(table: TableProfile, column: ColumnProfile) -> int:
    """Return the number of rows without a value."""
    return table.rows_read - column.non_null + (column.blank or 0)


def _is_required(column: ColumnProfile) -> bool:
    """Return whether a row without a value is of little use, by the name of the column."""
    name_words = words(column.name)
    if not name_words or not _OPTIONAL_WORDS.isdisjoint(name_words):
        return False
    if name_words[-1] in _REQUIRED_WORDS:
        return True
    # `created_at`, `placed_on`
    return (
        name_words[-1] in ("at", "on") and len(name_words) > 1 and name_words[-2] in _REQUIRED_WORDS
    )
