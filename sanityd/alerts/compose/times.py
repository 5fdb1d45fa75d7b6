"""Times and durations for people, in their time zone: `today 09:05`, `Sun 08:05`, `3 Nov 08:05`.

They are English whatever the machine's locale is, so nothing here uses strftime.
"""

from datetime import datetime, timedelta, tzinfo

from sanityd.model.durations import format_duration

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SECOND = timedelta(seconds=1)
_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)


def format_time(when: datetime, at: datetime, zone: tzinfo) -> str:
    """Return a time relative to `at`: with the weekday within the last six days, else the date."""
    local, present = when.astimezone(zone), at.astimezone(zone)
    clock = f"{local:%H:%M}"
    days = (present.date() - local.date()).days
    if days == 0:
        return f"today {clock}"
    if days == -1:
        return f"tomorrow {clock}"
    if 0 < days < 7:
        return f"{_DAYS[local.weekday()]} {clock}"
    return f"{format_date(when, at, zone)} {clock}"


def format_date(when: datetime, at: datetime, zone: tzinfo) -> str:
    """Return the date, as `3 Nov`; with its year if that differs from the year of `at`."""
    local = when.astimezone(zone)
    date = f"{local.day} {_MONTHS[local.month - 1]}"
    if local.year == at.astimezone(zone).year:
        return date
    return f"{date} {local.year}"


def format_time_briefly(when: datetime, at: datetime, zone: tzinfo) -> str:
    """Return the same as `format_time` without the word `today`, for columns: `09:05`."""
    return format_time(when, at, zone).removeprefix("today ")


def format_rounded(span: timedelta) -> str:
    """Return a duration, rounded down: `40 s`, `1 h 10 min`, `25 h`, `3 d 4 h`."""
    if 10 * _HOUR <= span < 48 * _HOUR:
        return f"{span // _HOUR} h"
    unit = _HOUR
    if span < _MINUTE:
        unit = _SECOND
    elif span < 48 * _HOUR:
        unit = _MINUTE
    return format_duration(span // unit * unit)
