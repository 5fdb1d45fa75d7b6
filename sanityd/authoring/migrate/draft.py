"""The nouns of an import: what stands where in the other tool's file, and the rules it becomes. Knows no format."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: What one violation is to the other tool, where that matters to a threshold.
ROWS, VALUES, WHOLE = "rows", "values", "the table as a whole"


class Unmappable(Exception):
    """A check that has no counterpart here; the reason is for the person who migrates."""


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """Where something stands (1-based)."""

    path: Path
    line: int

    def __str__(self) -> str:
        """As editors open it: `models/schema.yml:31`."""
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Draft:
    """A rule to be.

    Parameters: `says` is the promise in words, which becomes the id; `options` belong to the check `kind`; `keys` are
    the rule's other keys; `notes` are what the person who migrates should know; `counted` is what a threshold of the
    other tool counts.
    """

    says: str
    kind: str
    options: Any
    keys: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    counted: str = ROWS

    def having(self, *notes: str, **keys: Any) -> "Draft":
        """The same with further notes and keys; a key that is None is left out, two `where` must both hold."""
        added = {key: value for key, value in keys.items() if value is not None}
        if "where" in added and "where" in self.keys:
            added["where"] = f"({self.keys['where']}) and ({added['where']})"
        said = tuple(note for note in (*self.notes, *notes) if note)
        return Draft(self.says, self.kind, self.options, {**self.keys, **added}, said, self.counted)


@dataclass(frozen=True, slots=True)
class Translation:
    """One check of the other tool, with the rules that say the same, or the reason why there are none."""

    place: SourceLocation
    what: str
    drafts: tuple[Draft, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Migration:
    """All that was found in some files. `sources` are names of databases, in the order in which they were met; `notes`
    are about the rules as a whole."""

    tool: str
    translations: tuple[Translation, ...]
    sources: tuple[str, ...]
    notes: tuple[str, ...] = ()


_SOURCE = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def quoted(name: str) -> str:
    """A name of a column or table, to stand in SQL."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def literal(value: Any) -> str:
    """A value, to stand in SQL."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


def source_name(text: str) -> str:
    """A text as the name of a source; one that can be one stays as it is."""
    return (
        text
        if _SOURCE.fullmatch(text)
        else re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "app"
    )
