"""Values of a database as text that can do no harm: nothing hidden, nothing that steers a terminal or turns text round.

Knows nothing of HTML: templates escape that on top. Everything that shows a value to people goes through here.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from sanityd.model import Value

#: Longest text of one value, in characters.
LIMIT = 200
# Characters that are letters or marks by category, but look like nothing or change the one before.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
_MARKS = {"Mn", "Me"}
# Two marks over a letter are a language; a pile of them covers the lines around it.
_MOST_MARKS = 2
_MOST_BITS = 1000
# Decimals with exponents beyond that stay in their scientific form.
_LONGEST = 50


def visible(value: Value, limit: int = LIMIT) -> str:
    r"""The value as one line of harmless text of at most `limit` characters, cut with `…`.

    Control, bidi, zero-width and other unseen characters become escapes such as `\x1b` and `\u202e`. NULL is NULL; a
    text that is empty, or begins or ends with a blank, stands in quotes.
    """
    if isinstance(value, str):
        bare = value and value == value.strip(" ")
        return escaped(value, limit) if bare else f'"{escaped(value, max(limit - 2, 1))}"'
    return escaped(_written(value, limit), limit)


def cells(names: Iterable[str], values: Mapping[str, Value], limit: int = LIMIT) -> list[str]:
    """A row's values, visible, in the order of the names; empty where it has none, which is not the same as NULL."""
    return [visible(values[name], limit) if name in values else "" for name in names]


def _written(value: Value, limit: int) -> str:
    """Anything but a text, as text; what would be very long is not written out."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "true" if value else "false"
        case bytes():
            return "0x" + value[:limit].hex()
        case datetime():
            return value.isoformat(
                " ", "seconds" if value.second or value.microsecond else "minutes"
            )
        case Decimal() if value.is_finite() and -_LONGEST < value.adjusted() < _LONGEST:
            return f"{value:f}"
        case int() if value.bit_length() > _MOST_BITS:
            # Python refuses to write it, and nobody would read it.
            return f"an integer of {value.bit_length():,} bits"
    return str(value)


def escaped(text: str, limit: int = LIMIT) -> str:
    """Text with every unseen character as an escape, cut with `…` so that the result has at most `limit` characters."""
    parts: list[str] = []
    length = marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in _MARKS else 0
        part = _code(character) if marks > _MOST_MARKS or _is_hidden(character) else character
        length += len(part)
        parts.append(part)
        if length > limit:
            return _cut(parts, length, limit)
    return "".join(parts)


def paragraphs(text: str, limit: int = 2000) -> list[str]:
    """Words of the rules file as harmless lines: line breaks stay, other runs of white space become one blank."""
    lines = [escaped(" ".join(line.split()), limit) for line in text[:limit].splitlines()]
    return [line for line in lines if line]


def ascii_line(text: str, limit: int) -> str:
    """Text for a header of a mail: one line of printable ASCII, accents dropped, what is left over as `?`."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    kept = "".join(
        c if " " <= c <= "~" else " " if c.isspace() else "" if _is_hidden(c) else "?"
        for c in plain
    )
    # Who writes or reads a mail decodes `=?…?=`, and there may be a line break in it.
    line = " ".join(kept.split()).replace("=?", "= ?")
    return line if len(line) <= limit else line[: limit - 3].rstrip() + "..."


def _is_hidden(character: str) -> bool:
    if character == " ":
        return False
    return unicodedata.category(character) in _HIDDEN or _INVISIBLE.match(character) is not None


def _code(character: str) -> str:
    number = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    return (
        f"\\x{number:02x}"
        if number < 0x100
        else f"\\u{number:04x}"
        if number < 0x10000
        else f"\\U{number:08x}"
    )


def _cut(parts: list[str], length: int, limit: int) -> str:
    """At most `limit` characters; an escape is left out as a whole rather than broken."""
    while parts and length > limit - 1:
        length -= len(parts.pop())
    return "".join(parts) + "…"
