"""Up to where the rows of a rule have been looked at, by a column that grows with each new row.

A row becomes visible when its transaction commits, which may be later than rows with a higher value were seen. So
looking begins again a while (`overlap`) before the end of what was seen:

- A point in time is simply taken back by that while.
- How fast a number grows nobody knows. The highest one of a look counts only once another look, at least that while
  later, has looked below it again; until then the number before it holds.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sanityd.model.runs import Outcome, Run, Value

#: How long a row may stay invisible after it got its value, unless the rule says otherwise.
OVERLAP = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Watermark:
    """What is known about a column after some looks. `full_at` is the last look at all rows."""

    column: str
    full_at: datetime
    #: Rows from this value on are new; None as long as that can't be told.
    safe: Value
    #: The highest value at `marked_at`, which becomes `safe`.
    mark: Value
    marked_at: datetime

    def since(self, column: str, every: timedelta, at: datetime) -> Value:
        """From which value on rows are new at `at`; None when all rows are to be looked at.

        Parameters: `every` is how long a look at all rows holds.
        """
        if self.column != column or not self.marked_at <= at < self.full_at + every:
            return None
        return self.safe


def watermark_after(
    before: Watermark | None, run: Run, column: str, overlap: timedelta
) -> Watermark | None:
    """The watermark once a run has looked; None when nothing is known any more."""
    if not run.answered:
        return before
    # Of rows beyond the cap nobody knows which they are.
    if run.outcome is Outcome.TRUNCATED or run.newest is None:
        return None
    if run.incremental and before is None:
        return None
    full_at = before.full_at if run.incremental and before is not None else run.at
    if not isinstance(run.newest, int):
        return Watermark(column, full_at, run.newest, run.newest, run.at)
    if (
        before is None
        or before.column != column
        or not isinstance(before.mark, int)
        or before.marked_at > run.at
    ):
        return Watermark(column, full_at, None, run.newest, run.at)
    if run.at - before.marked_at >= overlap:
        return Watermark(column, full_at, before.mark, run.newest, run.at)
    return replace(before, full_at=full_at)
