"""`row_count`: a table that others need, or that has many rows, isn't empty."""

from collections.abc import Iterator

from sanityd.authoring.suggest.profile import TableProfile
from sanityd.authoring.suggest.proposals.base import (
    ENOUGH,
    EXISTENCE,
    Candidate,
    Surroundings,
    counted,
)


def candidates(table: TableProfile, tables: Surroundings) -> Iterator[Candidate]:
    """One mild rule for each table with some rows."""
    del tables
    # To count a table that is too large to be read, time and again, is worth less than it costs.
    if table.read >= ENOUGH and table.is_whole:
        yield Candidate(
            table,
            "{table}-is-not-empty",
            "row_count",
            {"min": 1},
            EXISTENCE,
            f"row_count: {counted(table.rows, 'row')}",
            more={"severity": "warning"},
        )
