"""Write plain data as YAML on one line, safely: it reads back as the same data.

Names of tables and columns may contain line breaks, quotes, colons and control characters.
"""

import re
from collections.abc import Mapping
from typing import Any

from sanityd.alerts.compose.sanitize import escape_hidden

#: Text that needs no quotes for any YAML reader, inside and outside of brackets.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*")
_DURATION = re.compile(r"[1-9][0-9]*[smhdw]")
#: Words that some readers take for null, booleans or numbers.
_RESERVED = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf"})
_LONGEST_NAME = 60


def flow_text(value: Any) -> str:
    """Return a text, number, list or mapping on one line."""
    if isinstance(value, Mapping):
        items = [f"{_key(key)}: {flow_text(item)}" for key, item in value.items()]
        return "{" + ", ".join(items) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow_text(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return scalar(str(value))


def _key(key: Any) -> str:
    """Return a key of a mapping. `on` is a key of rules, which nobody writes in quotes."""
    return "on" if key == "on" else flow_text(key)


def scalar(text: str) -> str:
    """Return a text, with quotes and escapes where it needs them."""
    if _DURATION.fullmatch(text) or (_PLAIN.fullmatch(text) and text.lower() not in _RESERVED):
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def condition(text: str) -> str:
    """Return an SQL condition, without quotes where possible, as people read it more easily."""
    is_plain = re.fullmatch(r"[A-Za-z_(][A-Za-z0-9_ ()<>=+*/.-]*", text) and text == text.strip()
    return text if is_plain else scalar(text)


def comment(text: str) -> str:
    """Return a comment of one line, with all control characters escaped."""
    return f"# {escape_hidden(text, 400)}"


def escaped_name(name: str) -> str:
    """Return a name for messages, shortened and escaped, as it may be hostile."""
    return escape_hidden(name, _LONGEST_NAME)


def _escaped(character: str) -> str:
    number = ord(character)
    if character in '"\\':
        return "\\" + character
    if 0x20 <= number < 0x7F:
        return character
    if character.isprintable() and number <= 0xFFFF:
        return character
    if number < 0x100:
        return f"\\x{number:02x}"
    if number < 0x10000:
        return f"\\u{number:04x}"
    return f"\\U{number:08x}"
