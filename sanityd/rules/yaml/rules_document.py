"""A rules file, or a folder of them, as plain data that knows its line and column. Knows nothing of
rules."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sanityd.errors import Problem, RuleError
from sanityd.rules.yaml.positions import place_of
from sanityd.rules.yaml.reader import KeyPath, Mark, YamlLoader


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data, and where each piece of it stands."""

    data: dict[str, Any]
    files: dict[Path, tuple[str, ...]]
    revision: str
    #: What is wrong with the file as YAML, though it could be read to its end.
    problems: tuple[Problem, ...]
    _values: dict[KeyPath, Mark] = field(repr=False)
    _keys: dict[KeyPath, Mark] = field(repr=False)

    def mark(self, place: KeyPath, *, key: bool = False) -> Mark:
        """Where the value at a place stands, or its key. Elements that the file doesn't have are
        skipped over."""
        known = self.known(place)
        return self._keys.get(known, self._values[known]) if key else self._values[known]

    def location(self, place: KeyPath) -> str:
        """As people write it: `rules.yaml:21`."""
        mark = self.mark(place, key=True)
        return f"{mark.path.name}:{mark.line}"

    def find(self, place: KeyPath, text: str) -> KeyPath | None:
        """The first text below a place that is equal to `text`."""
        return next((found for found, value in texts(self.at(place), place) if value == text), None)

    def problem(  # noqa: PLR0913 (several ways to give the position)
        self,
        place: KeyPath,
        message: str,
        advice: str = "",
        *,
        key: bool = False,
        word: str | None = None,
        at: tuple[int, int] | None = None,
        length: int | None = None,
        level: str = "error",
    ) -> Problem:
        """Something wrong at a place.

        Parameters: `key` points at the key instead of the value; `word` at the first key or text
        below that has it;
        `at` at a line and column (1-based) inside the value's text.
        """
        mark = self.mark(place, key=key)
        # An empty text has no word to point at.
        if word:
            mark = self._mark_of_word(place, word) or mark
        if at is not None and isinstance(text := self.at(place), str):
            mark = self._inside(mark, text, _offset(text, *at), length or 1)
        lines = self.files[mark.path]
        source = lines[mark.line - 1] if mark.line <= len(lines) else ""
        return Problem(
            message, advice, mark.path, mark.line, mark.column, length or mark.length, source, level
        )

    def known(self, place: KeyPath) -> KeyPath:
        """The place without those of its elements that the file doesn't have."""
        known: KeyPath = ()
        for element in place:
            if (*known, element) in self._values:
                known = (*known, element)
        return known

    def at(self, place: KeyPath) -> Any:
        """The data at a place. Elements that the file doesn't have end the way."""
        value: Any = self.data
        for element in place:
            try:
                value = value[element]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def _mark_of_word(self, wanted: KeyPath, word: str) -> Mark | None:
        place = self.known(wanted)
        whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
        for below, mark in self._values.items():
            if below[: len(place)] != place:
                continue
            if len(below) > len(place) and below[-1] == word and below in self._keys:
                return self._keys[below]
            value = self.at(below)
            if isinstance(value, str) and (found := whole.search(value)):
                return self._inside(mark, value, found.start(), len(word))
        return None

    def _inside(self, mark: Mark, text: str, offset: int, length: int) -> Mark:
        """A place inside a text."""
        place = place_of(self.files[mark.path], mark.line, mark.column, mark.style, text, offset)
        return Mark(mark.path, *place, length)


def parse(path: Path, instead: Mapping[Path, bytes] | None = None) -> Document:
    """Read one file, or the `*.yaml` and `*.yml` files of a folder, merged section by section.

    Parameters: `instead` is what to read in place of the content of some of the files. Raises
    RuleError when a file can't be read to its end; smaller problems are in the document's
    `problems`.
    """
    files = _files(path)
    reader = YamlLoader()
    for file in files:
        if instead is not None and file in instead:
            reader.read_bytes(instead[file], file)
        else:
            reader.read(file)
    return _document(reader)


def parse_text(text: str, path: Path) -> Document:
    """Read a text as if it stood in the file `path`. Raises RuleError as `parse` does."""
    reader = YamlLoader()
    reader.read_bytes(text.encode(), path)
    return _document(reader)


def texts(value: Any, place: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """All texts in a piece of plain data, each with its place."""
    pending = [(place, value)]
    while pending:
        where, item = pending.pop()
        if isinstance(item, str):
            yield where, item
        elif isinstance(item, dict):
            pending += [((*where, key), below) for key, below in reversed(item.items())]
        elif isinstance(item, list):
            pending += [
                ((*where, index), below) for index, below in reversed(list(enumerate(item)))
            ]


def _offset(text: str, line: int, column: int) -> int:
    """Where a line and column (1-based) are in a text."""
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    return start + column - 1


def _files(path: Path) -> list[Path]:
    try:
        if not path.is_dir():
            # Whatever else is wrong with it is told when it is read.
            path.stat()
            return [path]
        # A link that leads nowhere is a file that can't be read, not one that isn't there.
        found = sorted(
            file
            for file in path.iterdir()
            if file.suffix in (".yaml", ".yml") and not file.is_dir()
        )
    except FileNotFoundError:
        advice = "`sanityd init` writes a first one; `--rules` names it"
        raise RuleError([Problem("there is no such file", advice, path)]) from None
    except OSError as error:
        raise RuleError(
            [Problem(f"this can't be read ({error.strerror})", "check its name and rights", path)]
        ) from None
    if not found:
        raise RuleError(
            [
                Problem(
                    f"there is no rules file in `{path}`", "`sanityd init` writes a first one", path
                )
            ]
        )
    return found


def _document(reader: YamlLoader) -> Document:
    problems = tuple(
        sorted(reader.problems, key=lambda found: (str(found.path), found.line, found.column))
    )
    if reader.stopped:
        raise RuleError(problems)
    first = next(iter(reader.files))
    reader.values.setdefault((), Mark(first, 1, 1))
    return Document(
        reader.data, reader.files, reader.hash.hexdigest()[:7], problems, reader.values, reader.keys
    )
