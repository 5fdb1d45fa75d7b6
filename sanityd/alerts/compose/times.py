"""Points in time as people say them to each other, in their own zone: `today 09:05`, `Sun 08:05`, `3 Nov 08:05`.

In English whatever the machine's locale is, so nothing here uses strftime.
"""

from datetime import datetime, timedelta, tzinfo

from sanityd.model.durations import format_duration

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)


def moment(when: datetime, at: datetime, zone: tzinfo) -> str:
    """When something was or will be, seen from `at`: the weekday within the last six days, else the date."""
    local, present = when.astimezone(zone), at.astimezone(zone)
    clock = f"{local:%H:%M}"
    days = (present.date() - local.date()).days
    if days == 0:
        return f"today {clock}"
    if days == -1:
        return f"tomorrow {clock}"
    if 0 < days < 7:
        return f"{_DAYS[local.weekday()]} {clock}"
    return f"{day(when, at, zone)} {clock}"


def day(when: datetime, at: datetime, zone: tzinfo) -> str:
    """The date alone, with its year if that is another than that of `at`: `3 Nov`."""
    local = when.astimezone(zone)
    year = "" if local.year == at.astimezone(zone).year else f" {local.year}"
    return f"{local.day} {_MONTHS[local.month - 1]}{year}"


def brief(when: datetime, at: datetime, zone: tzinfo) -> str:
    """The same without the word `today`, for columns: `09:05`."""
    return moment(when, at, zone).removeprefix("today ")


def length(span: timedelta) -> str:
    """How long something took, no finer than anybody cares: `40 s`, `1 h 10 min`, `25 h`, `3 d 4 h`."""
    if 10 * _HOUR <= span < 48 * _HOUR:
        return f"{span // _HOUR} h"
    unit = timedelta(seconds=1) if span < _MINUTE else _MINUTE if span < _HOUR * 48 else _HOUR
    return format_duration(span // unit * unit)
