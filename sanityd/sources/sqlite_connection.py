"""Connection to SQLite whose statements have a time limit."""

import math
import sqlite3
from contextlib import suppress
from threading import Timer
from typing import Any

from sanityd import clock


class GuardedConnection(sqlite3.Connection):
    """Connection whose statements have a time limit (`limit`, in seconds)."""

    limit = math.inf
    _deadline = math.inf
    _timer: Timer | None = None
    #: What the functions of this connection use; closed together with it.
    helper: sqlite3.Connection | None = None

    def cursor(self, *arguments: Any, **options: Any) -> Any:
        """Start the time limit, as SQLAlchemy makes a new cursor for each statement.

        A timer interrupts the steps in which SQLite doesn't call its progress handler, such as
        counting the rows of a table.
        """
        self.stop_timer()
        self._deadline = clock.stopwatch() + self.limit
        self._timer = Timer(self.limit, self._interrupt_if_late)
        self._timer.daemon = True
        self._timer.start()
        return super().cursor(*arguments, **options)

    def close(self) -> None:
        """Close the connection and its helper."""
        super().close()
        if self.helper is not None:
            self.helper.close()

    def stop_timer(self) -> None:
        """Stop the timer of the last statement."""
        if self._timer is not None:
            self._timer.cancel()

    def _interrupt_if_late(self) -> None:
        # The next statement may have begun, and the connection may be closed.
        if self.is_late():
            with suppress(sqlite3.ProgrammingError):
                self.interrupt()

    def is_late(self) -> bool:
        """Return whether SQLite must stop, for its progress handler."""
        return clock.stopwatch() > self._deadline
