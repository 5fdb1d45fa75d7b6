"""The only module that reads the clock. All others receive the time as an aware UTC datetime."""

import threading
import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


def stopwatch() -> float:
    """Return seconds of a clock that never jumps. Only differences have a meaning."""
    return time.monotonic()


def pause(seconds: float, until: threading.Event | None = None) -> None:
    """Wait for some seconds, or until the event is set."""
    event = until or threading.Event()
    event.wait(seconds)
