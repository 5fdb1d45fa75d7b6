"""What goes to the terminal: text whose parts have styles. Rich draws it; where there is no
terminal it is plain text.

Row values and words of the rules file are never read as markup, and arrive with control characters
made visible.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import IO

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from sanityd.alerts.compose.sanitize import visible
from sanityd.model import Change, Incident, Severity, Triage, Value

STYLES = {
    Severity.CRITICAL: "bold red",
    Severity.ERROR: "red",
    Severity.WARNING: "yellow",
    Severity.INFO: "blue",
}
#: Sign, style: a sign tells as much as a colour does.
PASSED, FAILED, MILD, UNKNOWN = ("✓", "green"), ("✗", "red"), ("!", "yellow"), ("?", "magenta")


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """The reader went away: that is no violation, as exit code 1 would say."""
        raise BrokenPipeError


def console(file: IO[str] | None = None) -> Console:
    """Where to write: as wide as the terminal, or without any wrapping into a file or pipe."""
    stream = file or sys.stdout
    width = None if stream.isatty() else 10_000
    return _Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def key_text(key: Mapping[str, Value]) -> str:
    """A key as people read it: `id 7`."""
    return ", ".join(f"{visible(name)} {visible(value)}" for name, value in key.items())


#: What a run may have changed about rows that violate, as it is told.
SEEN = (Change.NEW, Change.REGRESSED, Change.FOLLOWED, Change.ONGOING)


def changed(counts: Mapping[Change, int], kinds: Sequence[Change] = SEEN) -> list[str]:
    """`3 new`, `12 ongoing`: in that order, each that there is."""
    return [f"{counts[one]:,} {one.value}" for one in kinds if counts.get(one)]


def open_since(incident: Incident | None, at: datetime) -> str:
    """`; open since 09:05`, behind what changed; nothing for what begins now."""
    return (
        ""
        if incident is None or incident.opened_at >= at
        else f"; open since {since(incident.opened_at, at)}"
    )


def since(moment: datetime, at: datetime) -> str:
    """A past time, as short as it can be told: `09:05`, `Sun 08:05`, `3 Nov`."""
    local, today = moment.astimezone(), at.astimezone()
    days = (today.date() - local.date()).days
    if days == 0:
        return local.strftime("%H:%M")
    if days < 7:
        return local.strftime("%a %H:%M")
    return local.strftime("%-d %b") if local.year == today.year else local.strftime("%-d %b %Y")


def until(moment: datetime, at: datetime) -> str:
    """A time to come: `18:05`, `tomorrow 09:00`, `3 Dec 09:00`."""
    local, today = moment.astimezone(), at.astimezone()
    days = (local.date() - today.date()).days
    if days < 2:
        return local.strftime("tomorrow %H:%M" if days == 1 else "%H:%M")
    return (
        local.strftime("%-d %b %H:%M") if local.year == today.year else local.strftime("%-d %b %Y")
    )


def stance(one: Triage, at: datetime) -> str:
    """`acknowledged by ana until 3 Dec 09:00: looking at the queue`."""
    by = f"{one.action.value} by {visible(one.author)}"
    word = f" as {one.resolution.replace('_', ' ')}" if one.resolution else ""
    return f"{by}{word} until {until(one.until, at)}: {visible(one.reason, 80)}"


def signed(sign: tuple[str, str], *parts: str | Text) -> Text:
    """A line that begins with a coloured sign."""
    mark, style = sign
    line = Text("  ").append(mark, style=style).append(" ")
    for part in parts:
        line.append(part) if isinstance(part, str) else line.append_text(part)
    return line


def table(*headers: str) -> Table:
    """A plain aligned table: bold heads, no frames."""
    grid = Table(box=None, pad_edge=True, header_style="bold", padding=(0, 2, 0, 0))
    for header in headers:
        grid.add_column(header, overflow="fold")
    return grid


def aligned(lines: Sequence[Sequence[Text] | Text]) -> Iterator[Text]:
    """Lines whose cells stand below each other; a line that is one Text goes across all columns."""
    rows = [line for line in lines if not isinstance(line, Text)]
    widths = [max(cell.cell_len for cell in column) for column in zip(*rows, strict=True)]
    for line in lines:
        whole = Text("  ")
        if isinstance(line, Text):
            yield whole.append_text(line)
            continue
        for cell, width in zip(line, widths, strict=True):
            whole.append_text(cell).append(" " * (width - cell.cell_len + 2 if width else 0))
        whole.rstrip()
        yield whole


def fact(console: Console, word: str, told: str | Text, width: int = 17) -> None:
    """A word and what it says, which goes on below itself when the line ends."""
    text = told if isinstance(told, Text) else Text(told)
    lines = text.wrap(console, max(console.width - width, 20))
    for place, line in enumerate(lines):
        line.rstrip()
        label = word if place == 0 else ""
        console.print(
            Text().append(f"{label:<{width}}", style="dim").append_text(line), soft_wrap=True
        )


def indented(grid: Table | Text, by: int = 2) -> Padding:
    """The same, moved in."""
    return Padding(grid, (0, 0, 0, by), expand=False)


@contextmanager
def progress(total: int, words: str) -> Iterator[Progress]:
    """A bar on stderr while something takes its time; nothing where stderr is no terminal."""
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
