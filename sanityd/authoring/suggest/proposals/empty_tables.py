"""`row_count`: a table with rows doesn't become empty."""

from collections.abc import Iterator

from sanityd.authoring.suggest.profile import TableProfile
from sanityd.authoring.suggest.proposals.base import (
    EXISTENCE,
    MIN_ROWS,
    Candidate,
    SourceContext,
    counted,
)


def candidates(table: TableProfile, context: SourceContext) -> Iterator[Candidate]:
    """Iterate over one rule, of severity warning, for a table with some rows."""
    del context
    # For a table that is too large to be read, counting its rows regularly costs too much.
    if table.rows_read >= MIN_ROWS and table.is_whole:
        yield Candidate(
            table,
            "{table}-is-not-empty",
            "row_count",
            {"min": 1},
            EXISTENCE,
            f"row_count: {counted(table.rows, 'row')}",
            rule_keys={"severity": "warning"},
        )
