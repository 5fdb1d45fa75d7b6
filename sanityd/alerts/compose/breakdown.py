"""What very many rows have in common: the most frequent values of their `show` columns. Pure."""

from collections import Counter
from collections.abc import Sequence

from sanityd.alerts.compose.sanitize import display_value, escape_hidden
from sanityd.model import TrackedViolation

#: A list of more violations than that is no overview.
MANY = 1000
_MOST_VALUES, _MOST_COLUMNS = 5, 3
_LONGEST_VALUE = 40


def breakdown(rows: Sequence[TrackedViolation], violations: int) -> list[str]:
    """Return a sentence for each of the first `show` columns, for more than 1,000 violations.

    A column whose values hardly repeat says nothing and is left out.
    """
    if violations <= MANY:
        return []
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(row.shown))
    sentences = []
    for name in names:
        values = [
            display_value(row.shown[name], _LONGEST_VALUE) for row in rows if name in row.shown
        ]
        counts = Counter(values)
        if 2 * len(counts) <= len(values):
            sentences.append(_sentence(name, counts, len(rows)))
    return sentences[:_MOST_COLUMNS]


def _sentence(name: str, counts: Counter[str], tracked: int) -> str:
    parts = [f"{value} ({count:,})" for value, count in counts.most_common(_MOST_VALUES)]
    others = len(counts) - len(parts)
    if others:
        parts.append(f"{others:,} other values")
    column = escape_hidden(name, _LONGEST_VALUE)
    return f"By {column}, of the {tracked:,} rows that are tracked: {', '.join(parts)}."
