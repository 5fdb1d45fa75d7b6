"""Durations as people write and read them: `10m`, `36h`, `1 h 10 min`."""

import re
from datetime import timedelta

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
#: Regular expression of a duration, to be used inside larger patterns.
DURATION = "(?:[0-9]{1,10}[smhdw])+"
_DURATION = re.compile(DURATION)
_NUMBER_AND_UNIT = re.compile(r"([0-9]+)([smhdw])")
#: Advice for a text that is not a duration.
DURATION_ADVICE = "write a number and a unit, as in `10m`, `36h`, `7d`"
#: A number and a unit as people say them: `7 days`, `1 hour 30 min`.
_SPOKEN = re.compile(
    r"\s*([0-9]{1,10})\s*(s|m|h|d|w)(?:(?:ec|in|r|ay|econd|inute|our|eek)s?)?"
    r"(?:\s+and\s+|\s*,\s*|\s*)",
    re.IGNORECASE,
)
_FRACTION_OF_SECOND = re.compile(r"[0-9.]+\s*(ms|us|µs|ns|(milli|micro|nano)\w*)")
_LONGEST = timedelta(days=3660)
#: Units for display, largest first, in seconds.
_DISPLAY_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def parse_duration(text: str, *, least: int = 1) -> timedelta:
    """Read `30s`, `10m`, `36h`, `7d`, `2w` or a sum such as `1h30m`.

    Raises ValueError, with what to write instead, for any other text, for less than `least`
    seconds, and for more than ten years.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError(_correction(text) or DURATION_ADVICE)
    seconds = 0
    for number, unit in _NUMBER_AND_UNIT.findall(text):
        seconds += int(number) * _UNITS[unit]
    if not least <= seconds <= _LONGEST.total_seconds():
        shortest = "one second" if least else "`0s`"
        raise ValueError(f"write something between {shortest} and ten years")
    return timedelta(seconds=seconds)


def _correction(text: str) -> str:
    """Return advice how `7 days` must be written; an empty text when the meaning is not clear."""
    if _FRACTION_OF_SECOND.fullmatch(text.strip()):
        return "write whole seconds, as in `1s`"
    corrected = written_duration(text)
    return f"write `{corrected}`" if corrected else ""


def written_duration(text: str) -> str:
    """Return `7 days` as it must be written (`7d`); an empty text when the meaning is not clear."""
    if len(text) > 50 or not re.fullmatch(rf"(?:{_SPOKEN.pattern})+", text, re.IGNORECASE):
        return ""
    return "".join(number + unit.lower() for number, unit in _SPOKEN.findall(text))


def format_duration(length: timedelta) -> str:
    """Format a duration with its two largest units: `3 d 4 h`, `1 h 10 min`, `12 s`."""
    rest = max(0, round(length.total_seconds()))
    words = []
    for unit, size in _DISPLAY_UNITS:
        count, rest = divmod(rest, size)
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words[:2]) or "0 s"
