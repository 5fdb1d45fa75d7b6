"""Candidates: rules that may hold, with the reason to think so and their priority."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sanityd.authoring.suggest.profile import TableProfile
from sanityd.authoring.suggest.relationships import Relationships

#: Priorities of rules: the ones whose violation harms a business most are the highest.
IDENTITY, REFERENCE, PRESENCE, SUM, ORDER, CODE, FORMAT, RANGE, SEQUENCE, TRAFFIC, EXISTENCE = (
    range(110, 0, -10)
)
#: Fewer rows than these give no evidence about a column whose name gives none.
MIN_ROWS = 20
#: Grace period: how long a row may be without the rows that belong to it.
GRACE = timedelta(hours=1)


@dataclass(frozen=True)
class Candidate:
    """A rule to try.

    `id` contains `{table}` for the name of the table. `options` is the value of the kind's key, as
    plain data. `evidence` is the reason for the rule in words, which are true when the rule holds.
    When more than a share of `tolerance` of the rows violate the rule, it was a wrong guess and is
    not proposed; when fewer do, it is proposed as a rule that doesn't hold now.
    """

    table: TableProfile
    id: str
    kind: str
    options: Any
    priority: int
    evidence: str
    tolerance: float = 0.01
    #: Further keys of the rule.
    rule_keys: dict[str, str] = field(default_factory=dict)
    #: The column with a row's creation time, if rows younger than `GRACE` are not checked.
    age_column: str | None = None
    #: Whether the rule is proposed only when it doesn't hold, as the database mostly enforces it.
    only_if_violated: bool = False
    #: The columns that the rule is about; a less important rule about them may be redundant.
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceContext:
    """The other tables of the source, and functions that ask the database about them."""

    relationships: Relationships
    #: Return the share of some values that exists in a column of a table; 0.0 when it is unknown.
    share_contained: Callable[[TableProfile, str, Iterable[Any]], float]
    #: Quote the name of a column for SQL.
    quoted: Callable[[str], str]


def counted(number: int, singular: str) -> str:
    """Return a number with its noun: `1 row`, `1,204 rows`."""
    noun = singular if number == 1 else f"{singular}s"
    return f"{number:,} {noun}"
