"""Formats text for the terminal, with Rich: styles, tables, times, progress bars.

Without a terminal the output is plain text. Row values and texts of the rules file are never
parsed as markup, and their control characters are made visible.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import IO

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from sanityd.alerts.compose.sanitize import display_value
from sanityd.cli.local_time import local_time, zone_name
from sanityd.model import Change, Incident, Severity, Triage, Value

STYLES = {
    Severity.CRITICAL: "bold red",
    Severity.ERROR: "red",
    Severity.WARNING: "yellow",
    Severity.INFO: "blue",
}
#: Sign and style. The sign carries the meaning where there are no colours.
PASSED, FAILED, MILD, UNKNOWN = ("✓", "green"), ("✗", "red"), ("!", "yellow"), ("?", "magenta")

#: The changes of violating rows that a line shows, in this order.
OPEN_CHANGES = (Change.NEW, Change.REGRESSED, Change.FOLLOWED, Change.ONGOING)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError: Rich would exit with 1, which means a violation."""
        raise BrokenPipeError


def console(file: IO[str] | None = None) -> Console:
    """Return a console: as wide as the terminal; without wrapping for a file or pipe."""
    stream = file or sys.stdout
    width = None if stream.isatty() else 10_000
    return _Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def plural(count: int, noun: str) -> str:
    """Return the noun, with an `s` unless the count is 1."""
    return noun if count == 1 else noun + "s"


def key_text(key: Mapping[str, Value]) -> str:
    """Format a key as `id 7`, or `a 1, b 2`."""
    return ", ".join(f"{display_value(name)} {display_value(value)}" for name, value in key.items())


def changed(counts: Mapping[Change, int], changes: Sequence[Change] = OPEN_CHANGES) -> list[str]:
    """Return texts such as `3 new` and `12 ongoing`, in the order of `changes`, without zeros."""
    return [f"{counts[change]:,} {change.value}" for change in changes if counts.get(change)]


def open_since(incident: Incident | None, at: datetime) -> str:
    """Return `; open since 09:05`, or an empty text for an incident that opens now."""
    if incident is None or incident.opened_at >= at:
        return ""
    return f"; open since {since(incident.opened_at, at)}"


def since(past: datetime, at: datetime) -> str:
    """Format a past time, relative to `at`: `09:05`, `Sun 08:05`, `3 Nov`, `3 Nov 2025`."""
    local = local_time(past)
    today = local_time(at)
    days = (today.date() - local.date()).days
    if days == 0:
        return local.strftime("%H:%M")
    if days < 7:
        return local.strftime("%a %H:%M")
    if local.year == today.year:
        return local.strftime("%-d %b")
    return local.strftime("%-d %b %Y")


def until(future: datetime, at: datetime) -> str:
    """Format a future time, relative to `at`: `18:05`, `tomorrow 09:00`, `3 Dec 09:00`."""
    local = local_time(future)
    today = local_time(at)
    days = (local.date() - today.date()).days
    if days == 1:
        return local.strftime("tomorrow %H:%M")
    if days < 1:
        return local.strftime("%H:%M")
    if local.year == today.year:
        return local.strftime("%-d %b %H:%M")
    return local.strftime("%-d %b %Y")


def until_in_zone(future: datetime, at: datetime) -> str:
    """Format a future time with the name of its zone: `tomorrow 09:00 UTC`."""
    return f"{until(future, at)} {zone_name()}"


def since_in_zone(past: datetime, at: datetime) -> str:
    """Format a past time with the name of its zone: `Sun 08:05 Europe/Berlin`."""
    return f"{since(past, at)} {zone_name()}"


def triage_text(triage: Triage, at: datetime) -> str:
    """Format a decision: `acknowledged by ana until 3 Dec 09:00: I repair the queue`."""
    decision = f"{triage.action.value} by {display_value(triage.author)}"
    if triage.resolution:
        decision += f" as {triage.resolution.replace('_', ' ')}"
    return f"{decision} until {until(triage.until, at)}: {display_value(triage.reason, 80)}"


def signed(sign: tuple[str, str], *parts: str | Text) -> Text:
    """Return an indented line that begins with a coloured sign."""
    mark, style = sign
    line = Text("  ").append(mark, style=style).append(" ")
    for part in parts:
        if isinstance(part, str):
            line.append(part)
        else:
            line.append_text(part)
    return line


def table(*headers: str) -> Table:
    """Return a table with bold headers and without borders."""
    grid = Table(box=None, pad_edge=True, header_style="bold", padding=(0, 2, 0, 0))
    for header in headers:
        grid.add_column(header, overflow="fold")
    return grid


def aligned(lines: Sequence[Sequence[Text] | Text]) -> Iterator[Text]:
    """Align the cells of the lines in columns. A line that is a single Text spans all columns."""
    rows = [line for line in lines if not isinstance(line, Text)]
    widths = [max(cell.cell_len for cell in column) for column in zip(*rows, strict=True)]
    for line in lines:
        output = Text("  ")
        if isinstance(line, Text):
            yield output.append_text(line)
            continue
        for cell, width in zip(line, widths, strict=True):
            output.append_text(cell)
            if width:
                output.append(" " * (width - cell.cell_len + 2))
        output.rstrip()
        yield output


def fact(console: Console, label: str, value: str | Text, width: int = 17) -> None:
    """Print a label and its value; the value wraps within its own column.

    Parameters: `width` is the width of the label's column, in characters.
    """
    text = value if isinstance(value, Text) else Text(value)
    lines = text.wrap(console, max(console.width - width, 20))
    first_cell = f"{label:<{width}}"
    for number, line in enumerate(lines):
        line.rstrip()
        cell = first_cell if number == 0 else " " * width
        console.print(Text().append(cell, style="dim").append_text(line), soft_wrap=True)


def indented(grid: Table | Text, by: int = 2) -> Padding:
    """Indent a table or text by so many columns."""
    return Padding(grid, (0, 0, 0, by), expand=False)


@contextmanager
def waiting(words: str) -> Iterator[Callable[[str], object]]:
    """Show on stderr, if it is a terminal, what is waited for; gives a function to say how long."""
    err = Console(file=sys.stderr, markup=False, highlight=False)
    columns = (TextColumn(words), TextColumn("{task.description}"))
    with Progress(*columns, console=err, transient=True, disable=not sys.stderr.isatty()) as line:
        task = line.add_task("")
        yield lambda left: line.update(task, description=left)


@contextmanager
def progress(total: int, words: str) -> Iterator[Progress]:
    """Show a progress bar on stderr, if stderr is a terminal."""
    columns = (
        TextColumn(words),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    err = Console(file=sys.stderr, markup=False, highlight=False)
    with Progress(*columns, console=err, transient=True, disable=not sys.stderr.isatty()) as bar:
        bar.add_task("", total=total)
        yield bar
