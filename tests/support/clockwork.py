"""Work for a scheduler that does nothing; tests say what it does instead."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sanityd.scheduler import Batch, ScheduledJobs


class NoWork(ScheduledJobs):
    """Nothing is overdue, missed or changed, and looking takes no time."""

    def evaluate(self, batch: Batch) -> None:
        """Nothing."""

    def cancel(self, batch: str, why: str) -> None:
        """Nothing."""

    def deliver(self) -> None:
        """Nothing."""

    def housekeeping(self, late: Mapping[str, int]) -> Sequence[Batch]:
        """Nothing was missed."""
        del late
        return ()

    def report(self) -> None:
        """Nothing."""

    def overdue(self, batches: Sequence[Batch], at: datetime) -> Sequence[Batch]:
        """Nothing is."""
        del batches, at
        return ()

    def changed(self) -> bool:
        """Never."""
        return False

    def reload(self) -> Sequence[Batch]:
        """None are left."""
        return ()
