"""What templates may do with words: wrap and align them as text, link and mark them as HTML."""

import re
import textwrap

from markupsafe import Markup

from sanityd.alerts.compose.rows_table import RowsTable

_LABEL, _WIDTH = 17, 80
_LINK = re.compile(r"(https?://[!-~]*[A-Za-z0-9/=#_-])")


def linked(text: str) -> Markup:
    """Words of the rules file as HTML in which addresses of web pages can be followed. Not for values of rows."""
    parts = _LINK.split(text)
    return Markup().join(
        Markup('<a href="{0}">{0}</a>').format(p) if i % 2 else p for i, p in enumerate(parts)
    )


def coded(text: str) -> Markup:
    """Words as HTML in which what stands between backticks looks like code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return Markup().join([text])
    return Markup().join(
        Markup('<span class="name">{0}</span>').format(p) if i % 2 else p
        for i, p in enumerate(parts)
    )


def filled(text: str) -> str:
    """A paragraph of text."""
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def beside(lines: list[str], label: str, *, whole: bool = False) -> str:
    """Lines of text in a column of their own, with a label before the first. `whole` ones are commands to be copied."""
    wrapped = []
    for line in lines:
        width = _WIDTH - _LABEL
        parts = (
            []
            if whole
            else textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False)
        )
        wrapped += parts or [line]
    labels = [label] + [""] * len(wrapped)
    return "\n".join(
        f"{label:<{_LABEL}}{line}".rstrip() for label, line in zip(labels, wrapped, strict=False)
    )


def aligned(rows: RowsTable) -> list[str]:
    """The rows as lines of text, `id 7   since 09:05`; the times stand below each other if there is room."""
    texts = [_row_text(rows, index) for index in range(len(rows.lines))]
    width = min(max((len(text) for text in texts), default=0), 44)
    lines = []
    for line, text in zip(rows.lines, texts, strict=True):
        lines += [f"{line.ages}:"] if line.ages else []
        lines.append(f"{text:<{width}}   since {line.since}")
    return lines


def _row_text(rows: RowsTable, index: int) -> str:
    line = rows.lines[index]
    named = [
        text if title == "and" else f"{title} {text}"
        for title, text in zip(rows.columns, line.cells, strict=True)
        if text
    ]
    return ", ".join([*named, line.detail] if line.detail else named)
