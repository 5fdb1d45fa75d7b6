"""Where a character of a YAML text stands in the file: quotes, escapes, folded lines and
indentation move it.

Whatever the style, the characters that are no blanks come in the same order in the file and in the
text; counting them is enough.
"""

import re
from collections.abc import Iterator, Sequence

_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.|$)")
#: Letters that stand for a blank after a backslash.
_BLANKS = "nrtvfNLP_ \t"


def place_of(
    lines: Sequence[str], line: int, column: int, style: str, text: str, offset: int
) -> tuple[int, int]:
    """The line and column (1-based) of `text[offset]`, for a scalar that begins at `line` and
    `column` of the file.

    Parameters: `style` as YAML has it: empty for plain, a quote, `|` or `>`. A blank is taken to
    stand right behind the character before it.
    """
    before = sum(not char.isspace() for char in text[:offset])
    on_blank = offset >= len(text) or text[offset].isspace()
    place = (line, column + (style in ("'", '"')))
    for count, found in enumerate(_places(lines, line, column, style)):
        if count == before - 1 and on_blank:
            return (found[0], found[1] + found[2])
        if count == before and not on_blank:
            return (found[0], found[1])
        if count > before:
            break
    return place


def _places(
    lines: Sequence[str], line: int, column: int, style: str
) -> Iterator[tuple[int, int, int]]:
    """Line, column and width of each character in the file that stands for one that is no blank, in
    order."""
    start = 0 if style in ("|", ">") else column - 1 + (style in ("'", '"'))
    first = line if style in ("|", ">") else line - 1
    for number in range(first, len(lines)):
        source = lines[number]
        at = start if number == first else 0
        while at < len(source):
            width, blank = _unit(source, at, style)
            if not blank:
                yield number + 1, at + 1, width
            at += width


def _unit(source: str, at: int, style: str) -> tuple[int, bool]:
    """How many characters of the file stand for the one at that place, and whether that is a blank
    or nothing."""
    if style == "'" and source.startswith("''", at):
        return 2, False
    if style == '"' and (found := _ESCAPE.match(source, at)):
        return len(found[0]), _is_blank(found[0][1:])
    return 1, source[at].isspace()


def _is_blank(escape: str) -> bool:
    if len(escape) > 1:
        return chr(min(int(escape[1:], 16), 0x10FFFF)).isspace()
    # Of the end of a line nothing is left.
    return not escape or escape in _BLANKS
