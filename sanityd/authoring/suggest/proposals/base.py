"""What an idea gives: a rule that may hold, why it is thought to, and how much it is worth."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sanityd.authoring.suggest.profile import TableProfile
from sanityd.authoring.suggest.proposals.pointing import Pointers

#: How much a rule is worth: what breaks a business first comes first.
IDENTITY, REFERENCE, PRESENCE, SUM, ORDER, CODE, FORM, RANGE, SEQUENCE, TRAFFIC, EXISTENCE = range(
    110, 0, -10
)
#: The least number of rows that says anything about a column whose name says nothing.
ENOUGH = 20
#: How long a row may be without what belongs to it.
GRACE = timedelta(hours=1)


@dataclass(frozen=True)
class Candidate:
    """A rule to be tried.

    `options` is what stands behind the kind's key, as plain data. `evidence` are words for what was seen, true when the
    rule holds. A rule that up to a share of `tolerance` of the rows break is told as one that doesn't hold now; with
    more it was a wrong guess.
    """

    table: TableProfile
    id: str
    kind: str
    options: Any
    worth: int
    evidence: str
    tolerance: float = 0.01
    #: Further keys of the rule.
    more: dict[str, str] = field(default_factory=dict)
    #: The column that tells the age of a row, where rows that are younger than `GRACE` are not judged.
    grace: str | None = None
    #: Whether it is worth telling only when it doesn't hold, since the database mostly sees to it.
    only_broken: bool = False
    #: Names of columns; a candidate about the same columns as one that proved right is not needed.
    about: tuple[str, ...] = ()


@dataclass(frozen=True)
class Surroundings:
    """The other tables of the source, and a way to ask which values occur in one of them."""

    pointers: Pointers
    #: Of some values, the share that exists in a table's column; 0.0 where that can't be told.
    contained: Callable[[TableProfile, str, Iterable[Any]], float]
    #: The name of a column as it stands in the database's SQL.
    quoted: Callable[[str], str]


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 row`, `1,204 rows`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
