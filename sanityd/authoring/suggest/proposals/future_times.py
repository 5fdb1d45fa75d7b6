"""`between`: times of past events are not in the future. Proposed only when a row violates it.

A row with a wrong year, or from a wrong clock, would count as the newest row for ever.
"""

from collections.abc import Iterator

from sanityd.authoring.suggest.naming import slug, vocabulary, words
from sanityd.authoring.suggest.profile import ColumnProfile, TableProfile
from sanityd.authoring.suggest.proposals.base import RANGE, Candidate, SourceContext, counted
from sanityd.authoring.suggest.proposals.freshness import steady_column
from sanityd.authoring.yaml_text import escaped_name

#: Words for past events, besides those that end in `ed`.
_PAST_WORDS = vocabulary(
    "lent sent paid born birth birthday sold bought made won lost left read begun"
)
#: A day of tolerance for fast clocks, and for times without a zone.
_MAX_TIME = "now + 1d"
#: Words for events that may be in the future.
_FUTURE_WORDS = vocabulary(
    "due planned scheduled expected estimated expires expired promised projected until next end"
    " ends valid reserved booked deadline renewed needed required through effective embargo"
    " embargoed published unpublished released terminated cancelled canceled activated targeted"
)


def candidates(table: TableProfile, context: SourceContext) -> Iterator[Candidate]:
    """Iterate over one rule for each column of past times, except the one with a `fresh` rule."""
    del context
    fresh_column = steady_column(table)
    for column in table.columns.values():
        if not column.is_time or not column.non_null or column.name == fresh_column:
            continue
        if not _is_past(column):
            continue
        values = counted(column.non_null, "value")
        yield Candidate(
            table,
            f"{slug(column.name)}-of-{{table}}-is-not-in-the-future",
            "between",
            {column.name: {"max": _MAX_TIME}},
            RANGE,
            f"between: {values} of {escaped_name(column.name)}, none in the future",
            tolerance=0.005,
            only_if_violated=True,
            columns=(column.name,),
        )


def _is_past(column: ColumnProfile) -> bool:
    """Return whether the name of a column says that the event has happened."""
    name_words = words(column.name)
    if not _FUTURE_WORDS.isdisjoint(name_words):
        return False
    return any(word in _PAST_WORDS or word.endswith("ed") for word in name_words)
