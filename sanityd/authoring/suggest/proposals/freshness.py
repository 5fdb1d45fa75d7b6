"""`fresh`: a table that gets rows every day keeps getting them."""

from collections.abc import Iterator
from typing import Any

from sanityd.authoring.suggest.naming import slug, vocabulary, words
from sanityd.authoring.suggest.profile import ColumnProfile, TableProfile
from sanityd.authoring.suggest.proposals.base import TRAFFIC, Candidate, SourceContext, counted
from sanityd.authoring.yaml_text import escaped_name
from sanityd.sources.catalog import Family

_ROW_TIME_WORDS = vocabulary(
    "created inserted updated modified placed ordered received sent logged recorded occurred"
)
#: The rows of a day that make it an active one, and the number of the seven days before today that
#: must be active.
_MIN_ROWS_PER_DAY, _MIN_ACTIVE_DAYS = 5, 6
#: The length of a date as text.
_DATE_LENGTH = 10


def is_row_time(column: ColumnProfile) -> bool:
    """Return whether a column holds the time at which a row was created or last changed."""
    if not column.is_time or not column.non_null:
        return False
    name_words = set(words(column.name))
    return not _ROW_TIME_WORDS.isdisjoint(name_words) or name_words == {"timestamp"}


def candidates(table: TableProfile, context: SourceContext) -> Iterator[Candidate]:
    """Iterate over one rule, for the first column with rows on nearly each day.

    It doesn't hold if the last day has none.
    """
    del context
    name = steady_column(table)
    if name is None:
        return
    counts = [count for count in table.daily_counts[name][1:] if count]
    rows = counted(min(counts), "row")
    yield Candidate(
        table,
        f"{{table}}-keep-coming-by-{slug(name)}",
        "fresh",
        _options(table, name),
        TRAFFIC,
        f"fresh: at least {rows} on each of the last days by {escaped_name(name)}",
        tolerance=1.0,
        columns=(name,),
    )


def _options(table: TableProfile, name: str) -> dict[str, Any]:
    # A row with a date may be from any hour of that day.
    limit = "2d" if _holds_dates(table, name) else "1d"
    if table.columns[name].family is Family.TIMESTAMPTZ:
        return {name: limit}
    # Times without a zone may be of another zone than the database's clock, and so in the future.
    return {"columns": {name: limit}, "ahead": "1d"}


def _holds_dates(table: TableProfile, name: str) -> bool:
    if table.columns[name].family is Family.DATE:
        return True
    return all(len(str(value)) <= _DATE_LENGTH for value in table.sample_values(name))


def steady_column(table: TableProfile) -> str | None:
    """Return the first time column with rows on nearly each of the last days, or None."""
    for name, counts in table.daily_counts.items():
        active_days = sum(count >= _MIN_ROWS_PER_DAY for count in counts[1:])
        if active_days >= _MIN_ACTIVE_DAYS:
            return name
    return None
