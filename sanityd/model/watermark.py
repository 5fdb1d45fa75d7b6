"""Watermark: up to which value of a growing column the rows of a rule were already evaluated.

A row becomes visible when its transaction commits, perhaps after rows with higher values. So each
run starts again some time (`overlap`) below the highest value:

- A column of times: the value is simply taken back by the overlap.
- A column of numbers: nobody knows how fast they grow. The highest number of a run becomes `safe`
  only after another run, at least one overlap later, has read below it again; until then the
  earlier number stays in use.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sanityd.model.runs import Outcome, Run, Value

#: How long a row may stay invisible after it got its value, unless the rule sets another overlap.
DEFAULT_OVERLAP = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Watermark:
    """State of one column after some runs."""

    column: str
    #: When all rows were last read.
    full_at: datetime
    #: Rows from this value on are new; None while that isn't known yet.
    safe: Value
    #: The highest value at `marked_at`; it becomes `safe` one overlap later.
    mark: Value
    marked_at: datetime

    def since(self, column: str, every: timedelta, at: datetime) -> Value:
        """Return the value from which rows are new; None when all rows must be read.

        Parameters: `column` is the column that the rule names now; `every` is how long reading all
        rows stays valid; `at` is the time of the run.
        """
        if self.column != column or not self.marked_at <= at < self.full_at + every:
            return None
        return self.safe


def watermark_after(
    before: Watermark | None, run: Run, column: str, overlap: timedelta
) -> Watermark | None:
    """Return the watermark after a run; None when the next run must read all rows."""
    if not run.answered:
        return before
    # It is not known which rows are beyond the cap.
    if run.outcome is Outcome.TRUNCATED or run.newest is None:
        return None
    full_at = run.at
    if run.incremental:
        if before is None:
            return None
        full_at = before.full_at
    if not isinstance(run.newest, int):
        return Watermark(column, full_at, run.newest, run.newest, run.at)
    if before is None or not _continues(before, run, column):
        return Watermark(column, full_at, None, run.newest, run.at)
    if run.at - before.marked_at >= overlap:
        return Watermark(column, full_at, before.mark, run.newest, run.at)
    return replace(before, full_at=full_at)


def _continues(before: Watermark, run: Run, column: str) -> bool:
    """Return whether the mark of the earlier watermark is still valid: same column, a number."""
    is_same_column = before.column == column and isinstance(before.mark, int)
    return is_same_column and before.marked_at <= run.at
