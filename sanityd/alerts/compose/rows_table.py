"""The rows of a mail as a table: which rows are listed, with their keys and `show` columns only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from decimal import Decimal

from sanityd.alerts.compose.phrases import MANNERS
from sanityd.alerts.compose.sanitize import LIMIT, display_values, escape_hidden
from sanityd.alerts.compose.times import format_time_briefly
from sanityd.model import TrackedViolation, extra_detail

# A mail is read on a phone: the columns after these share one cell.
_COLUMNS = 4
#: The most characters of all values of a mail, so that even the worst mail is not cut.
BUDGET = 6_000
# Up to this many rows are not split into newest and oldest.
_FEW = 3
#: The column in which a check shows what it measured of a group.
_VALUE = "value"
_NEW, _OLD = "new since the last mail", "known before"


@dataclass(frozen=True, slots=True)
class ListedRow:
    """A row that is listed, and the name of its group; empty if there are no groups."""

    group: str
    row: TrackedViolation


@dataclass(frozen=True, slots=True)
class TableRow:
    """One line: a text per column, what is wrong with the row or became of it, and since when.

    `ages` is the title of a group, as `newest`, in the first line of the group.
    """

    cells: tuple[str, ...]
    detail: str
    since: str
    ages: str = ""


@dataclass(frozen=True, slots=True)
class RowsTable:
    """The rows that are listed, and how many are not."""

    columns: tuple[str, ...] = ()
    lines: tuple[TableRow, ...] = ()
    more: int = 0
    #: The headings of the last two columns.
    detail_title: str = "problem"
    time_title: str = "since"

    @property
    def detailed(self) -> bool:
        """Whether any line says what is wrong with its row."""
        return any(line.detail for line in self.lines)


def select_rows(
    rows: Sequence[TrackedViolation], limit: int, new_since: datetime | None = None
) -> tuple[ListedRow, ...]:
    """Return at most `limit` of the rows, which are given oldest first.

    If there are more, two thirds of them are the newest and one third the oldest. Parameters:
    `new_since` is the time of the last mail; if it is given, rows that are new since come first.
    """
    if new_since is not None:
        new = [row for row in rows if row.first_seen > new_since]
        if new:
            return _new_and_old(rows, new, limit)
    if len(rows) <= limit or rows[0].first_seen == rows[-1].first_seen:
        # Of rows that were found at the same time none is the oldest.
        return tuple(ListedRow("", row) for row in rows[:limit])
    oldest_count = limit // 3 if limit > _FEW else 0
    newest = list(reversed(rows))[: limit - oldest_count]
    listed = [ListedRow("newest", row) for row in newest]
    listed += [ListedRow("oldest", row) for row in rows[:oldest_count]]
    return tuple(listed)


def _new_and_old(
    rows: Sequence[TrackedViolation], new: Sequence[TrackedViolation], limit: int
) -> tuple[ListedRow, ...]:
    """Return the new rows, newest first, then the oldest of the others as far as there is room."""
    listed = [ListedRow(_NEW, row) for row in list(reversed(new))[:limit]]
    room = min(limit - len(listed), len(rows) - len(new))
    listed += [ListedRow(_OLD, row) for row in rows[:room]]
    return tuple(listed)


def with_worst_row(
    listed: tuple[ListedRow, ...], rows: Sequence[TrackedViolation]
) -> tuple[ListedRow, ...]:
    """Return the listed rows with the one of the largest measured value, in place of the last."""
    measured = [row for row in rows if isinstance(row.shown.get(_VALUE), int | float | Decimal)]
    if not listed or not measured:
        return listed
    worst = max(measured, key=_size)
    if any(item.row is worst for item in listed):
        return listed
    return (*listed[:-1], replace(listed[-1], row=worst))


def _size(row: TrackedViolation) -> float:
    value = row.shown[_VALUE]
    size = abs(float(value)) if isinstance(value, int | float | Decimal) else 0.0
    # Not a number is larger than none, but smaller than any.
    return size if size == size else 0.0  # noqa: PLR0124 (the test for NaN)


def rows_table(
    listed: Sequence[ListedRow],
    total: int,
    key: Sequence[str],
    *,
    at: datetime,
    zone: tzinfo,
    budget: int = BUDGET,
    ended: bool = False,
) -> RowsTable:
    """Return the listed rows as texts.

    Parameters: `total` is the number of all violations, also of those not listed; `key` is the
    order of the key columns; `budget` is the most characters of all values together; with `ended`
    the lines say what became of the rows, and when.
    """
    names = _column_names([item.row for item in listed], key)
    # One more than there are columns, for the text on what is wrong.
    columns = min(len(names), _COLUMNS) + 1
    limit = max(20, min(LIMIT, budget // (max(len(listed), 1) * columns)))
    lines = []
    group = ""
    for item in listed:
        group_title = "" if item.group == group else item.group
        line = _line(item.row, names, limit)
        if ended:
            line = replace(line, detail=_what_became(item.row))
        time = item.row.resolved_at if ended else item.row.first_seen
        since = format_time_briefly(time, at, zone) if time is not None else ""
        lines.append(replace(line, since=since, ages=group_title))
        group = item.group
    table = RowsTable(_titles(names), tuple(lines), max(0, total - len(listed)))
    return replace(table, detail_title="now", time_title="at") if ended else table


def _what_became(row: TrackedViolation) -> str:
    if row.resolution is None:
        return "remains"
    return MANNERS.get(row.resolution, "not checked again")


def _column_names(rows: Iterable[TrackedViolation], key: Sequence[str]) -> list[str]:
    """Return the key columns in the order of the rule, then the `show` columns, each once."""
    # A dictionary is an ordered set here.
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(name for name in key if name in row.key))
        names.update(dict.fromkeys(row.key))
    for row in rows:
        names.update(dict.fromkeys(row.shown))
    return list(names)


def _titles(names: Sequence[str]) -> tuple[str, ...]:
    titles = tuple(escape_hidden(name, 40) for name in names)
    if len(titles) <= _COLUMNS:
        return titles
    return (*titles[: _COLUMNS - 1], "and")


def _line(row: TrackedViolation, names: Sequence[str], limit: int) -> TableRow:
    texts = display_values(names, {**row.shown, **row.key}, limit)
    detail = escape_hidden(extra_detail(row), limit)
    if len(names) <= _COLUMNS:
        return TableRow(tuple(texts), detail, "")
    first = _COLUMNS - 1
    rest = []
    for name, text in zip(names[first:], texts[first:], strict=True):
        rest.append(f"{escape_hidden(name, 40)} {text}")
    last_cell = escape_hidden(" · ".join(rest), 2 * limit)
    return TableRow((*texts[:first], last_cell), detail, "")
