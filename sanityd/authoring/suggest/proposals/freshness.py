"""`fresh`: rows that came every day keep coming."""

from collections.abc import Iterator

from sanityd.authoring.suggest.naming import slug, vocabulary, words
from sanityd.authoring.suggest.profile import ColumnProfile, TableProfile
from sanityd.authoring.suggest.proposals.base import TRAFFIC, Candidate, Surroundings, counted
from sanityd.authoring.yaml_text import named
from sanityd.sources.catalog import Family

_MADE = vocabulary(
    "created inserted updated modified placed ordered received sent logged recorded occurred"
)
#: How many rows a day, and on how many of the days before the last one, make traffic.
_STEADY, _DAYS = 5, 6
#: The length of a date as text.
_DAY = 10


def is_mark_of_time(column: ColumnProfile) -> bool:
    """Whether a column says when a row was made or last changed."""
    said = {*words(column.name)}
    return column.is_time and bool(column.filled) and bool((_MADE & said) or said == {"timestamp"})


def candidates(table: TableProfile, tables: Surroundings) -> Iterator[Candidate]:
    """One rule for the first of the columns that has traffic. It is told as broken when the last day has none."""
    del tables
    if (name := with_traffic(table)) is not None:
        days = table.days[name]
        # A row of a date was made at any hour of it.
        is_date = table.columns[name].family is Family.DATE or all(
            len(str(value)) <= _DAY for value in table.seen(name)
        )
        limit = "2d" if is_date else "1d"
        # Times without a zone may be those of another one than the database's clock: no row of the future, for that.
        has_zone = table.columns[name].family is Family.TIMESTAMPTZ
        options = {name: limit} if has_zone else {"columns": {name: limit}, "ahead": "1d"}
        quietest = min(count for count in days[1:] if count)
        yield Candidate(
            table,
            f"{{table}}-keep-coming-by-{slug(name)}",
            "fresh",
            options,
            TRAFFIC,
            f"fresh: at least {counted(quietest, 'row')} on each of the last days by {named(name)}",
            tolerance=1.0,
            about=(name,),
        )


def with_traffic(table: TableProfile) -> str | None:
    """The first of the columns by which rows came on nearly every one of the last days."""
    steady = (
        name
        for name, days in table.days.items()
        if sum(count >= _STEADY for count in days[1:]) >= _DAYS
    )
    return next(steady, None)
