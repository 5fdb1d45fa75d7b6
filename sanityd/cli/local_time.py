"""The time zone of all times on the terminal: that of the mails (`alerts: {zone: …}`)."""

from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo

_zone: ContextVar[tzinfo] = ContextVar("zone", default=UTC)


def use_zone(zone: tzinfo) -> None:
    """Show all times of this command in the zone."""
    _zone.set(zone)


def local_time(time: datetime) -> datetime:
    """Return the time in the zone."""
    return time.astimezone(_zone.get())


def zone_name() -> str:
    """Return the name of the zone: `UTC`, `Europe/Berlin`."""
    return str(_zone.get())
