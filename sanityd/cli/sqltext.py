"""SQL on the terminal: a clause per line, in colours where there are any; hostile values can't
steer it."""

import sys
from typing import TYPE_CHECKING

from rich.text import Text

from sanityd.alerts.compose.sanitize import escape_hidden
from sanityd.authoring.sql_layout import format_sql

if TYPE_CHECKING:
    from rich.console import Console

#: How much of a line is shown: a list of values may be very long.
LINE = 2_000


def shown(console: "Console", sql: str, dialect: str | None, by: int = 2) -> Text:
    """The statement, moved in by so many blanks."""
    # What is hidden in a text is shown before anything is coloured, and cut after it, or a text
    # would have no end.
    plain = "\n".join(
        escape_hidden(line, sys.maxsize) for line in format_sql(sql, dialect).split("\n")
    )
    lines = [Text(" " * by).append_text(line) for line in _coloured(console, plain).split("\n")]
    for line in lines:
        line.rstrip()
        line.truncate(LINE, overflow="ellipsis")
    return Text("\n").join(lines)


def _coloured(console: "Console", plain: str) -> Text:
    if console.color_system is None:
        return Text(plain)
    # Takes a twentieth of a second, and a pipe needs none of it.
    from rich.syntax import Syntax

    text = Syntax("", "sql", theme="ansi_dark", background_color="default").highlight(plain)
    text.rstrip()
    return text
