"""Filters for templates: wrap and align text, mark links and code in HTML."""

import re
import textwrap

from markupsafe import Markup

from sanityd.alerts.compose.rows_table import RowsTable

#: The width of the column of labels, and of a whole line, in characters.
_LABEL_WIDTH, _LINE_WIDTH = 17, 80
#: The widest row after which the times are still aligned.
_ROW_WIDTH = 44
_LINK = re.compile(r"(https?://[!-~]*[A-Za-z0-9/=#_-])")


def linked(text: str) -> Markup:
    """Return a text of the rules file as HTML with its web addresses as links.

    Not for values of rows: those must never become links.
    """
    return _marked(_LINK.split(text), Markup('<a href="{0}">{0}</a>'))


def coded(text: str) -> Markup:
    """Return the text as HTML in which text between backticks looks like code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return Markup().join([text])
    return _marked(parts, Markup('<span class="name">{0}</span>'))


def _marked(parts: list[str], markup: Markup) -> Markup:
    """Join the parts, escaped, with every second one in the markup."""
    marked: list[str] = []
    for index, part in enumerate(parts):
        marked.append(markup.format(part) if index % 2 else part)
    return Markup().join(marked)


def filled(text: str) -> str:
    """Return the text wrapped as a paragraph."""
    return textwrap.fill(text, _LINE_WIDTH, break_long_words=False, break_on_hyphens=False)


def labelled(lines: list[str], label: str, *, whole: bool = False) -> str:
    """Return the lines in a column, with a label left of the first.

    Lines are wrapped, unless they are `whole`: commands must stay on one line to be copied.
    """
    column: list[str] = []
    for line in lines:
        if whole:
            column.append(line)
        else:
            column += _wrapped(line) or [line]
    labels = [label] + [""] * len(column)
    labelled_lines = []
    for line_label, line in zip(labels, column, strict=False):
        labelled_lines.append(f"{line_label:<{_LABEL_WIDTH}}{line}".rstrip())
    return "\n".join(labelled_lines)


def _wrapped(line: str) -> list[str]:
    width = _LINE_WIDTH - _LABEL_WIDTH
    return textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False)


def aligned(rows: RowsTable) -> list[str]:
    """Return the rows as lines of text, `id 7   since 09:05`, with the times in a column."""
    texts = [_row_text(rows, index) for index in range(len(rows.lines))]
    widest = max((len(text) for text in texts), default=0)
    width = min(widest, _ROW_WIDTH)
    lines = []
    for line, text in zip(rows.lines, texts, strict=True):
        if line.ages:
            lines.append(f"{line.ages}:")
        time = f"{rows.time_title} {line.since}" if line.since else ""
        lines.append(f"{text:<{width}}   {time}".rstrip())
    return lines


def _row_text(rows: RowsTable, index: int) -> str:
    line = rows.lines[index]
    parts = []
    for column, text in zip(rows.columns, line.cells, strict=True):
        if not text:
            continue
        # The column `and` holds names of its own.
        parts.append(text if column == "and" else f"{column} {text}")
    if line.detail:
        parts.append(line.detail)
    return ", ".join(parts)
