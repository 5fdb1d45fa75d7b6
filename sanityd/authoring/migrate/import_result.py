"""The data types of an import: a check of the other tool, and the rules that it becomes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

_SOURCE_NAME = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")


class UnsupportedCheck(Exception):
    """A check that sanityd has no counterpart for. Its text is the reason that the user reads."""


class FailureUnit(Enum):
    """What the other tool counts as one failure of a check."""

    ROWS = "rows"
    VALUES = "values"
    TABLE = "the table as a whole"


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """A file and a line in it (1-based)."""

    path: Path
    line: int

    def __str__(self) -> str:
        """Return `models/schema.yml:31`, as editors open it."""
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class ImportedRule:
    """A rule that a check of the other tool becomes.

    Parameters: `title` says in words what must hold, and becomes the rule's id; `options` belong to
    the check `kind`; `keys` are the rule's other keys; `notes` are comments for the user;
    `failure_unit` is what the other tool compares with a threshold.
    """

    title: str
    kind: str
    options: Any
    keys: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    failure_unit: FailureUnit = FailureUnit.ROWS

    def with_notes(self, *notes: str) -> "ImportedRule":
        """Return the rule with further notes. Empty notes are ignored."""
        further_notes = tuple(note for note in notes if note)
        return replace(self, notes=(*self.notes, *further_notes))

    def with_keys(self, **keys: Any) -> "ImportedRule":
        """Return the rule with further keys.

        A key that is None is ignored. When the rule has a `where` already, both must hold.
        """
        added = {key: value for key, value in keys.items() if value is not None}
        if "where" in added and "where" in self.keys:
            added["where"] = f"({self.keys['where']}) and ({added['where']})"
        return replace(self, keys={**self.keys, **added})

    def with_custom_title(self, name: str | None, index: int) -> "ImportedRule":
        """Return the rule with the name that the other tool's check was given, if any.

        Parameters: `index` is the position among the rules of that check. All but the first one
        keep their own title behind the name, so that their ids differ.
        """
        if name is None:
            return self
        if index == 0:
            return replace(self, title=name)
        return replace(self, title=f"{name} {self.title}")


@dataclass(frozen=True, slots=True)
class ImportedCheck:
    """One check of the other tool, with its rules, or the reason why it has none."""

    location: SourceLocation
    name: str
    rules: tuple[ImportedRule, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ImportResult:
    """All checks that were read from some files.

    Parameters: `sources` are the names of databases, in the order of their first use; `notes` are
    about the rules as a whole.
    """

    tool: str
    translations: tuple[ImportedCheck, ...]
    sources: tuple[str, ...]
    notes: tuple[str, ...] = ()


def source_name(text: str) -> str:
    """Return a text as the name of a source. A valid name is returned unchanged."""
    if _SOURCE_NAME.fullmatch(text):
        return text
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return name or "app"
