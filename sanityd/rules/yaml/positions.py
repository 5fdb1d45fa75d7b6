"""The line and column in the file of a character of a YAML text.

Quotes, escapes, folded lines and indentation move it. But whatever the style, the characters that
are not blank come in the same order in the file and in the text, so counting them is enough.
"""

import re
from collections.abc import Iterator, Sequence

_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.|$)")
#: Letters that stand for a blank after a backslash.
_BLANKS = "nrtvfNLP_ \t"
#: Styles of scalars that begin below the line of their sign.
_BLOCK_STYLES = ("|", ">")
_QUOTES = ("'", '"')


def position_of(
    lines: Sequence[str], line: int, column: int, style: str, text: str, offset: int
) -> tuple[int, int]:
    """Return the line and column (1-based) of `text[offset]` in the file.

    Parameters: the scalar begins at `line` and `column` (1-based); `style` is as YAML has it: empty
    for plain, a quote, `|` or `>`. The position of a blank is right behind the character before it.
    """
    before = sum(not char.isspace() for char in text[:offset])
    on_blank = offset >= len(text) or text[offset].isspace()
    for count, (char_line, char_column, width) in enumerate(
        _characters(lines, line, column, style)
    ):
        if count == before - 1 and on_blank:
            return (char_line, char_column + width)
        if count == before and not on_blank:
            return (char_line, char_column)
        if count > before:
            break
    return (line, _text_column(column, style))


def _text_column(column: int, style: str) -> int:
    """Return the column in which the text of a scalar begins: behind its quote, if it has one."""
    if style in _QUOTES:
        return column + 1
    return column


def _characters(
    lines: Sequence[str], line: int, column: int, style: str
) -> Iterator[tuple[int, int, int]]:
    """Yield the line, column and width of each character that is not blank, in the file's order."""
    first = line - 1
    start = _text_column(column, style) - 1
    if style in _BLOCK_STYLES:
        first = line
        start = 0
    for number in range(first, len(lines)):
        source = lines[number]
        index = start if number == first else 0
        while index < len(source):
            width, blank = _unit(source, index, style)
            if not blank:
                yield number + 1, index + 1, width
            index += width


def _unit(source: str, index: int, style: str) -> tuple[int, bool]:
    """Return the width of a character in the file, and whether it stands for a blank or nothing."""
    if style == "'" and source.startswith("''", index):
        return 2, False
    if style == '"':
        escape = _ESCAPE.match(source, index)
        if escape:
            return len(escape[0]), _is_blank(escape[0][1:])
    return 1, source[index].isspace()


def _is_blank(escape: str) -> bool:
    if len(escape) > 1:
        return chr(min(int(escape[1:], 16), 0x10FFFF)).isspace()
    # A backslash at the end of a line stands for nothing.
    return not escape or escape in _BLANKS
