"""Lengths of time as people write and read them: `10m`, `36h`, `1 h 10 min`."""

import re
from datetime import timedelta

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
#: A regular expression of them, for patterns of more than a length of time.
DURATION = "(?:[0-9]{1,10}[smhdw])+"
_DURATION = re.compile(DURATION)
#: What to write instead of anything else.
LENGTHS = "write a number and a unit, as in `10m`, `36h`, `7d`"
#: As people say it: `7 days`, `1 hour 30 min`.
_SPOKEN = re.compile(
    r"\s*([0-9]{1,10})\s*(s|m|h|d|w)(?:ec|in|r|ay|econd|inute|our|eek)?s?(?:\s+and\s+|\s*,\s*|\s*)",
    re.IGNORECASE,
)
_LONGEST = timedelta(days=3660)


def duration(text: str) -> timedelta:
    """Read `30s`, `10m`, `36h`, `7d`, `2w` or a sum such as `1h30m`.

    Raises ValueError, with what to write instead, for anything else, for nothing, and for more than ten years.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError(_meant(text) or LENGTHS)
    seconds = sum(
        int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)([smhdw])", text)
    )
    if not 0 < seconds <= _LONGEST.total_seconds():
        raise ValueError("write something between one second and ten years")
    return timedelta(seconds=seconds)


def _meant(text: str) -> str:
    """`7 days` as it is to be written; nothing when it isn't clear what is meant."""
    if len(text) > 50 or not re.fullmatch(rf"(?:{_SPOKEN.pattern})+", text, re.IGNORECASE):
        return ""
    return f"write `{''.join(number + unit.lower() for number, unit in _SPOKEN.findall(text))}`"


def format_duration(length: timedelta) -> str:
    """In words, with the two largest units: `3 d 4 h`, `1 h 10 min`, `12 s`."""
    rest = max(0, round(length.total_seconds()))
    words = []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words[:2]) or "0 s"
