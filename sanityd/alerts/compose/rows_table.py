"""The rows of a mail as a table of harmless text: the oldest and the newest, their keys and shown columns, no more."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from sanityd.alerts.compose.sanitize import LIMIT, cells, escaped
from sanityd.alerts.compose.times import brief
from sanityd.model import Tracked, beyond_key

# A mail is read on a phone: what goes beyond these columns stands in one cell.
_COLUMNS = 4
#: All values of a mail together, so that even the worst of them stays below the size at which mails are cut.
BUDGET = 6_000
# Of so few rows it is not worth telling new from old.
_FEW = 3
_NEW, _OLD = "new since the last mail", "known before"

#: A row, and the name of the group that it stands in, if there are groups.
Chosen = tuple[str, Tracked]


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row: a text per column, what is wrong with it, and since when. `ages` opens a group, as `newest`."""

    cells: tuple[str, ...]
    detail: str
    since: str
    ages: str = ""


@dataclass(frozen=True, slots=True)
class RowsTable:
    """The rows that are listed, and how many more there are."""

    columns: tuple[str, ...] = ()
    lines: tuple[TableRow, ...] = ()
    more: int = 0

    @property
    def detailed(self) -> bool:
        """Whether any row has words on what is wrong with it."""
        return any(line.detail for line in self.lines)


def choose(rows: Sequence[Tracked], most: int, told: datetime | None = None) -> tuple[Chosen, ...]:
    """At most so many of `rows` (given oldest first): if there are more, two newest for each of the oldest.

    Parameters: `told` is when the reader was told last: then what is new since stands first.
    """
    new = [row for row in rows if told is not None and row.first_seen > told]
    if new:
        fresh = [(_NEW, row) for row in list(reversed(new))[:most]]
        return (
            *fresh,
            *((_OLD, row) for row in rows[: min(most - len(fresh), len(rows) - len(new))]),
        )
    if len(rows) <= most or rows[0].first_seen == rows[-1].first_seen:
        # Of what was found at the same time nothing is the oldest.
        return tuple(("", row) for row in rows[:most])
    oldest = most // 3 if most > _FEW else 0
    newest = list(reversed(rows))[: most - oldest]
    return (*(("newest", row) for row in newest), *(("oldest", row) for row in rows[:oldest]))


def listing(
    chosen: Sequence[Chosen],
    total: int,
    key: Sequence[str],
    *,
    at: datetime,
    zone: tzinfo,
    budget: int = BUDGET,
) -> RowsTable:
    """The chosen rows as texts.

    Parameters: `total` counts all violations, also those not listed; `key` is the order of the key's columns; `budget`
    is how many characters all values may have.
    """
    names = _names([row for _, row in chosen], key)
    # One more than there are columns, for the words on what is wrong.
    limit = max(20, min(LIMIT, budget // (max(len(chosen), 1) * (min(len(names), _COLUMNS) + 1))))
    lines = []
    group = ""
    for ages, row in chosen:
        lines.append(
            _line(row, names, limit, brief(row.first_seen, at, zone), "" if ages == group else ages)
        )
        group = ages
    return RowsTable(_titles(names), tuple(lines), max(0, total - len(chosen)))


def _names(rows: Iterable[Tracked], key: Sequence[str]) -> list[str]:
    """The key in the order of the rule, then what is shown, each once."""
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(name for name in key if name in row.key))
        names.update(dict.fromkeys(row.key))
    for row in rows:
        names.update(dict.fromkeys(row.shown))
    return list(names)


def _titles(names: Sequence[str]) -> tuple[str, ...]:
    titles = tuple(escaped(name, 40) for name in names)
    return titles if len(titles) <= _COLUMNS else (*titles[: _COLUMNS - 1], "and")


def _line(row: Tracked, names: Sequence[str], limit: int, since: str, ages: str) -> TableRow:
    values = {**row.shown, **row.key}
    texts = cells(names, values, limit)
    detail = escaped(beyond_key(row), limit)
    if len(names) <= _COLUMNS:
        return TableRow(tuple(texts), detail, since, ages)
    named = [f"{escaped(name, 40)} {text}" for name, text in zip(names, texts, strict=True)][
        _COLUMNS - 1 :
    ]
    rest = escaped(" · ".join(named), 2 * limit)
    return TableRow((*texts[: _COLUMNS - 1], rest), detail, since, ages)
