"""Values of a database as safe text, without hidden, terminal or bidi control characters.

Everything that shows a value to people uses this module. Knows nothing of HTML: templates escape
that in addition.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from sanityd.model import Value

#: The most characters of one value.
LIMIT = 200
# Letters or marks by category that are invisible or change the character before them.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0000-\U000e0fff]"
)
_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
_MARKS = {"Mn", "Me"}
# Languages put up to two marks on a letter; more would cover the lines around it.
_MOST_MARKS = 2
_MOST_BITS = 1000
# Decimals with larger exponents stay in scientific notation.
_LONGEST = 50


def display_value(value: Value, limit: int = LIMIT) -> str:
    r"""Return the value as one line of safe text, cut with `…` to at most `limit` characters.

    Control, bidi, zero-width and other hidden characters become escapes such as `\x1b` and
    `\u202e`. NULL is `NULL`. A text that is empty, or begins or ends with a blank, is quoted.
    """
    if not isinstance(value, str):
        return escape_hidden(_as_text(value, limit), limit)
    if value and value == value.strip(" "):
        return escape_hidden(value, limit)
    return f'"{escape_hidden(value, max(limit - 2, 1))}"'


def display_values(
    names: Iterable[str], values: Mapping[str, Value], limit: int = LIMIT
) -> list[str]:
    """Return the values of a row as texts, in the order of the names.

    A missing value is an empty text, unlike NULL.
    """
    return [display_value(values[name], limit) if name in values else "" for name in names]


def _as_text(value: Value, limit: int) -> str:
    """Return anything but a text as text. Very long numbers are not written out."""
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value).lower()
        case bytes():
            return "0x" + value[:limit].hex()
        case datetime():
            has_seconds = value.second or value.microsecond
            return value.isoformat(" ", "seconds" if has_seconds else "minutes")
        case Decimal():
            return _decimal_text(value)
        case int() if value.bit_length() > _MOST_BITS:
            # Python refuses to write it.
            return f"an integer of {value.bit_length():,} bits"
    return str(value)


def _decimal_text(value: Decimal) -> str:
    if value.is_finite() and -_LONGEST < value.adjusted() < _LONGEST:
        return f"{value:f}"
    return str(value)


def escape_hidden(text: str, limit: int = LIMIT) -> str:
    """Return the text with every hidden character as an escape.

    It is cut with `…`, so that the result has at most `limit` characters.
    """
    parts: list[str] = []
    length = marks = 0
    for character in text:
        if unicodedata.category(character) in _MARKS:
            marks += 1
        else:
            marks = 0
        part = character
        if marks > _MOST_MARKS or _is_hidden(character):
            part = _escape(character)
        length += len(part)
        parts.append(part)
        if length > limit:
            return _cut(parts, length, limit)
    return "".join(parts)


def sanitized_lines(text: str, limit: int = 2000) -> list[str]:
    """Return a text of the rules file as safe lines.

    Line breaks stay, empty lines are dropped, other white space becomes one blank.
    """
    lines = [escape_hidden(" ".join(line.split()), limit) for line in text[:limit].splitlines()]
    return [line for line in lines if line]


def ascii_line(text: str, limit: int) -> str:
    """Return the text for a mail header: one line of at most `limit` printable ASCII characters.

    Accents are dropped; other characters become `?`.
    """
    plain = "".join(_ascii(character) for character in unicodedata.normalize("NFKD", text))
    # Mail programs decode `=?…?=`, which may hold a line break.
    line = " ".join(plain.split()).replace("=?", "= ?")
    if len(line) <= limit:
        return line
    return line[: limit - 3].rstrip() + "..."


def _ascii(character: str) -> str:
    if unicodedata.combining(character):
        return ""
    if " " <= character <= "~":
        return character
    if character.isspace():
        return " "
    if _is_hidden(character):
        return ""
    return "?"


def _is_hidden(character: str) -> bool:
    if character == " ":
        return False
    return unicodedata.category(character) in _HIDDEN or _INVISIBLE.match(character) is not None


def _escape(character: str) -> str:
    number = ord(character)
    if character in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[character]
    if number < 0x100:
        return f"\\x{number:02x}"
    if number < 0x10000:
        return f"\\u{number:04x}"
    return f"\\U{number:08x}"


def _cut(parts: list[str], length: int, limit: int) -> str:
    """Return at most `limit` characters. An escape is dropped as a whole, never broken."""
    while parts and length > limit - 1:
        length -= len(parts.pop())
    return "".join(parts) + "…"
