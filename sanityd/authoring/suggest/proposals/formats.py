"""`matches`: text columns with a well-known format, such as e-mail addresses."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sanityd.authoring.suggest.naming import slug, words
from sanityd.authoring.suggest.profile import ColumnProfile, TableProfile
from sanityd.authoring.suggest.proposals.base import (
    FORMAT,
    MIN_ROWS,
    Candidate,
    SourceContext,
    counted,
)
from sanityd.authoring.yaml_text import escaped_name
from sanityd.checks.formats import FORMATS
from sanityd.sources.catalog import Family


@dataclass(frozen=True, slots=True)
class _Format:
    """A format, the words in column names that suggest it, and whether values alone may do so."""

    name: str
    name_words: frozenset[str]
    by_values: bool = True


_KNOWN_FORMATS = (
    _Format("email", frozenset({"email", "mail"})),
    _Format("uuid", frozenset({"uuid", "guid"})),
    _Format("url", frozenset({"url", "link", "website", "homepage"})),
    _Format("ip", frozenset({"ip"})),
    _Format("iso_date", frozenset({"date", "day", "birthday"})),
    _Format("e164", frozenset({"phone", "mobile", "tel", "telephone", "msisdn"})),
    _Format("country", frozenset({"country"}), by_values=False),
    _Format("currency", frozenset({"currency"}), by_values=False),
    _Format("slug", frozenset({"slug"}), by_values=False),
)
#: The share of sample values that must have a format that the name of the column suggests.
_MIN_SHARE_BY_NAME = 0.6
#: The same for a format that only the values suggest.
_MIN_SHARE_BY_VALUES = 0.97


def candidates(table: TableProfile, context: SourceContext) -> Iterator[Candidate]:
    """Iterate over at most one rule for each column of text."""
    del context
    for column in table.columns_of(Family.TEXT):
        values = [value for value in table.sample_values(column.name) if isinstance(value, str)]
        name_words = set(words(column.name))
        for known_format in _KNOWN_FORMATS:
            by_name = not known_format.name_words.isdisjoint(name_words)
            if _fits(known_format, values, by_name=by_name):
                yield _rule(table, column, known_format.name, by_name=by_name)
                break


def _fits(known_format: _Format, values: Sequence[str], *, by_name: bool) -> bool:
    """Return whether enough values have the format.

    `by_name` tells whether the name of the column suggests it, so that fewer need to.
    """
    if not by_name and not known_format.by_values:
        return False
    if len(values) < (1 if by_name else MIN_ROWS):
        return False
    pattern = re.compile(FORMATS[known_format.name], re.DOTALL)
    matching = sum(pattern.fullmatch(value) is not None for value in values)
    min_share = _MIN_SHARE_BY_NAME if by_name else _MIN_SHARE_BY_VALUES
    return matching >= len(values) * min_share


def _rule(
    table: TableProfile, column: ColumnProfile, format_name: str, *, by_name: bool
) -> Candidate:
    values = counted(column.non_null, "value")
    verb = "has" if column.non_null == 1 else "have"
    priority, tolerance = FORMAT, 0.01
    if by_name:
        priority, tolerance = FORMAT + 1, 0.1
    return Candidate(
        table,
        f"every-{slug(column.name)}-of-{{table}}-is-well-formed",
        "matches",
        {column.name: format_name},
        priority,
        f"matches: {values} of {escaped_name(column.name)} {verb} the form `{format_name}`",
        tolerance=tolerance,
        columns=(column.name,),
    )
