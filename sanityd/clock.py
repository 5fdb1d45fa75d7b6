"""The only reader of the wall clock. Everything else is handed the time as an aware UTC datetime."""

import threading
import time
from datetime import UTC, datetime


def now() -> datetime:
    """The present, aware, in UTC."""
    return datetime.now(UTC)


def stopwatch() -> float:
    """Seconds on a clock that never jumps; only differences mean something."""
    return time.monotonic()


def pause(seconds: float, until: threading.Event | None = None) -> None:
    """Wait, but no longer than until something happens."""
    (until or threading.Event()).wait(seconds)
