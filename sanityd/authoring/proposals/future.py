"""`always`: what has happened, by the name of its column, has not happened in the future. Told only where it has: one
row dated in 2097 is the newest one for ever, and hides that no others come.
"""

from collections.abc import Iterator

from sanityd.authoring.naming import slug, vocabulary, words
from sanityd.authoring.profile import ColumnProfile, TableProfile
from sanityd.authoring.proposals.base import ENOUGH, ORDER, Candidate, Surroundings, counted
from sanityd.authoring.proposals.freshness import with_traffic
from sanityd.authoring.yamltext import named

#: Words for what has happened that don't end in -ed, and words in -ed and others for what hasn't yet.
_PAST = vocabulary("sent paid lent sold bought made read seen left born birth birthday birthdate dob died taken login")
_TO_COME = vocabulary(
    "expected planned scheduled estimated projected needed required targeted promised expired until due next valid "
    "deadline reserved booked"
)
#: The database's time in a day, as text where times are: then it is today everywhere, and no clock is that fast.
_TOMORROW = {
    "sqlite": "datetime('now', '+1 day')",
    "postgres": "now() + interval '1 day'",
    "mysql": "now() + interval 1 day",
    "duckdb": "now() + interval '1 day'",
}
#: So many columns are tried, by the statement that tries all else.
_MOST = 12


def candidates(table: TableProfile, tables: Surroundings) -> Iterator[Candidate]:
    """One rule for each column of times that have been, but for the one that `fresh` looks after."""
    tomorrow = _TOMORROW.get(tables.dialect)
    if table.read < ENOUGH or tomorrow is None:
        return
    watched = with_traffic(table)
    columns = [column for column in table.columns.values() if _has_been(column) and column.name != watched]
    for column in columns[:_MOST]:
        yield Candidate(
            table,
            f"{slug(column.name)}-of-{{table}}-is-not-in-the-future",
            "always",
            f"{tables.quoted(column.name)} <= {tomorrow}",
            ORDER - 2,
            f"always: no {named(column.name)} in the future, in {counted(column.filled, 'row')}",
            only_broken=True,
            about=(column.name,),
        )


def _has_been(column: ColumnProfile) -> bool:
    """Whether its name says that it tells when something happened."""
    said = {*words(column.name)}
    is_past = bool(_PAST & said) or any(word.endswith("ed") for word in said)
    return column.is_time and bool(column.filled) and is_past and not _TO_COME & said
