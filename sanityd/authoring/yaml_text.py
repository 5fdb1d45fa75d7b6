"""Plain data as YAML on one line, such that it reads back as the same data and nothing in it can break out.

Names of tables and columns may be anything at all: line breaks, quotes, colons, control characters.
"""

import re
from collections.abc import Mapping
from typing import Any

from sanityd.alerts.compose.sanitize import escaped

#: What YAML, and any reader of it, takes for text without quotes, in and out of brackets.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*")
_DURATION = re.compile(r"[1-9][0-9]*[smhdw]")
#: Words that some readers take for something else.
_OTHER = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf"})
_LONGEST_NAME = 60


def flow(value: Any) -> str:
    """A text, number, list or mapping on one line."""
    if isinstance(value, Mapping):
        # `on` is a key of rules, which nobody writes in quotes.
        return (
            "{"
            + ", ".join(
                f"{key if key == 'on' else flow(key)}: {flow(item)}" for key, item in value.items()
            )
            + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return scalar(str(value))


def scalar(text: str) -> str:
    """A text; in quotes, and with escapes, where it needs them."""
    if _DURATION.fullmatch(text) or (_PLAIN.fullmatch(text) and text.lower() not in _OTHER):
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def condition(text: str) -> str:
    """A SQL condition, which people read better without quotes: it has them only where it must."""
    is_plain = re.fullmatch(r"[A-Za-z_(][A-Za-z0-9_ ()<>=+*/.-]*", text) and text == text.strip()
    return text if is_plain else scalar(text)


def comment(text: str) -> str:
    """Words for a comment: one line, nothing hidden in it."""
    return f"# {escaped(text, 400)}"


def named(name: str) -> str:
    """A name in words for people, which may be a hostile one."""
    return escaped(name, _LONGEST_NAME)


def _escaped(character: str) -> str:
    number = ord(character)
    if character in '"\\':
        return "\\" + character
    if 0x20 <= number < 0x7F:
        return character
    if character.isprintable() and number <= 0xFFFF:
        return character
    return (
        f"\\x{number:02x}"
        if number < 0x100
        else f"\\u{number:04x}"
        if number < 0x10000
        else f"\\U{number:08x}"
    )
