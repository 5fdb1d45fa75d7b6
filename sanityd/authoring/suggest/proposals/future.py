"""`between`: what is over was not in the future. Told only when some row says so.

A wrong year, or a wrong clock, makes it the newest for ever.
"""

from collections.abc import Iterator

from sanityd.authoring.suggest.naming import slug, vocabulary, words
from sanityd.authoring.suggest.profile import ColumnProfile, TableProfile
from sanityd.authoring.suggest.proposals.base import RANGE, Candidate, Surroundings, counted
from sanityd.authoring.suggest.proposals.freshness import with_traffic
from sanityd.authoring.yaml_text import named

#: Words for what has happened, besides those that end in `ed`.
_OVER = vocabulary("lent sent paid born birth birthday sold bought made won lost left read begun")
#: No clock is that fast, and then it is today everywhere: times without a zone may be those of another one.
_TOMORROW = "now + 1d"
#: Words for what is to come.
_TO_COME = vocabulary(
    "due planned scheduled expected estimated expires expired promised projected until next end ends valid reserved "
    "booked deadline renewed needed required through effective embargo embargoed published unpublished released "
    "terminated cancelled canceled activated targeted"
)


def candidates(table: TableProfile, tables: Surroundings) -> Iterator[Candidate]:
    """One rule for each column whose name says that it has happened, but for the one that `fresh` looks after."""
    del tables
    watched = with_traffic(table)
    for column in table.columns.values():
        if column.is_time and column.filled and column.name != watched and _is_over(column):
            yield Candidate(
                table,
                f"{slug(column.name)}-of-{{table}}-is-not-in-the-future",
                "between",
                {column.name: {"max": _TOMORROW}},
                RANGE,
                f"between: {counted(column.filled, 'value')} of {named(column.name)}, none in the future",
                tolerance=0.005,
                only_broken=True,
                about=(column.name,),
            )


def _is_over(column: ColumnProfile) -> bool:
    said = {*words(column.name)}
    return not said & _TO_COME and bool(said & _OVER or any(word.endswith("ed") for word in said))
