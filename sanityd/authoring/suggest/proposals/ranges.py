"""`between`: numbers whose name says where they end, such as a percentage; amounts and counts that aren't negative."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from sanityd.authoring.suggest.naming import slug, vocabulary, words
from sanityd.authoring.suggest.profile import ColumnProfile, TableProfile
from sanityd.authoring.suggest.proposals.base import ENOUGH, RANGE, Candidate, Surroundings, counted
from sanityd.authoring.yaml_text import named
from sanityd.sources.catalog import Family

#: The last word of a column, and where its values end.
_ENDS = {
    **dict.fromkeys(("percent", "percentage", "pct"), (0, 100)),
    **dict.fromkeys(("probability", "fraction", "share"), (0, 1)),
    **dict.fromkeys(("latitude", "lat"), (-90, 90)),
    **dict.fromkeys(("longitude", "lng", "lon"), (-180, 180)),
    "age": (0, 130),
    "month": (1, 12),
    "hour": (0, 23),
}
#: Words for what there can't be less than nothing of.
_NOT_NEGATIVE = vocabulary(
    "amount total subtotal price cost tax fee quantity qty count stock weight height width length size "
    "duration seconds minutes age distance capacity salary discount area volume bytes attempts retries"
)
_MOST = 8


def candidates(table: TableProfile, tables: Surroundings) -> Iterator[Candidate]:
    """One rule for each column with two ends; one for all that are never negative, one for each that rarely is."""
    del tables
    if table.read < ENOUGH:
        return
    never = []
    for column in table.of(Family.INTEGER, Family.NUMBER):
        said = words(column.name)
        if not said or not column.filled or not is_number(column.low) or not is_number(column.high):
            continue
        if (ends := ends_of(column.name)) is not None:
            yield _with_ends(table, column, *ends)
        elif is_never_negative(column.name):
            never.append(column)
    if fine := [column for column in never if column.low >= 0][:_MOST]:
        lowest = {column.name: {"min": 0} for column in fine}
        evidence = f"between: {', '.join(named(column.name) for column in fine)}: none of {counted(table.read, 'row')}"
        yield _rule(table, "nothing-in-{table}-is-negative", lowest, f"{evidence} is below 0")
    for column in never:
        if column.low < 0:
            evidence = (
                f"between: {named(column.name)} is at least 0 in {counted(table.read, 'row')}"
            )
            rule = f"{slug(column.name)}-of-{{table}}-is-not-negative"
            yield _rule(table, rule, {column.name: {"min": 0}}, evidence)


def ends_of(name: str) -> tuple[int, int] | None:
    """Where the values of such a column end, by its name."""
    return _ENDS.get(words(name)[-1]) if words(name) else None


def is_never_negative(name: str) -> bool:
    """Whether there can't be less than nothing of it, by its name."""
    return bool(_NOT_NEGATIVE & {*words(name)})


def _with_ends(table: TableProfile, column: ColumnProfile, low: int, high: int) -> Candidate:
    evidence = (
        f"between: {counted(column.filled, 'value')} of {named(column.name)} from {low} to {high}"
    )
    return _rule(
        table, f"{slug(column.name)}-of-{{table}}-is-in-range", {column.name: [low, high]}, evidence
    )


def _rule(table: TableProfile, rule: str, options: dict[str, Any], evidence: str) -> Candidate:
    return Candidate(
        table, rule, "between", options, RANGE, evidence, tolerance=0.005, about=tuple(options)
    )


def is_number(value: object) -> bool:
    """Neither text, which SQLite may hold anywhere, nor no number at all."""
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value
