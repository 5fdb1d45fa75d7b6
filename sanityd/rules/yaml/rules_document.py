"""A rules file, or a folder of them, as plain data with lines and columns.

Knows nothing of rules.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sanityd.errors import Problem, RuleError
from sanityd.rules.yaml.positions import position_of
from sanityd.rules.yaml.reader import KeyPath, Mark, YamlLoader


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data, with the line and column of each key and value."""

    data: dict[str, Any]
    files: dict[Path, tuple[str, ...]]
    revision: str
    #: What is wrong with the file as YAML, though it could be read to its end.
    problems: tuple[Problem, ...]
    _values: dict[KeyPath, Mark] = field(repr=False)
    _keys: dict[KeyPath, Mark] = field(repr=False)

    def mark(self, path: KeyPath, *, key: bool = False) -> Mark:
        """Return the mark of the value at a path, or of its key.

        Elements of the path that the file does not have are skipped.
        """
        existing = self.existing_path(path)
        value_mark = self._values[existing]
        return self._keys.get(existing, value_mark) if key else value_mark

    def location(self, path: KeyPath) -> str:
        """Return the file and line of a path, as in `rules.yaml:21`."""
        mark = self.mark(path, key=True)
        return f"{mark.path.name}:{mark.line}"

    def find(self, path: KeyPath, text: str) -> KeyPath | None:
        """Return the path of the first text below a path that is equal to `text`."""
        for text_path, value in texts(self.at(path), path):
            if value == text:
                return text_path
        return None

    def find_key(self, path: KeyPath, text: str) -> KeyPath | None:
        """Return the path of the first key below a path that is equal to `text`."""
        for key_path in self._keys:
            if key_path[: len(path)] == path and len(key_path) > len(path) and key_path[-1] == text:
                return key_path
        return None

    def problem(  # noqa: PLR0913 (several ways to give the position)
        self,
        path: KeyPath,
        message: str,
        advice: str = "",
        *,
        key: bool = False,
        word: str | None = None,
        at: tuple[int, int] | None = None,
        length: int | None = None,
        level: str = "error",
    ) -> Problem:
        """Return a problem at a path.

        Parameters: `key` points at the key instead of the value; `word` at the first key or text
        below that has it; `at` at a line and column (1-based) inside the text of the value, or key.
        """
        mark = self.mark(path, key=key)
        # An empty text has no word to point at.
        if word:
            mark = self._mark_of_word(path, word) or mark
        if at is not None:
            text = path[-1] if key else self.at(path)
            if isinstance(text, str):
                mark = self._mark_inside(mark, text, _offset(text, *at), length or 1)
        lines = self.files[mark.path]
        source = lines[mark.line - 1] if mark.line <= len(lines) else ""
        return Problem(
            message, advice, mark.path, mark.line, mark.column, length or mark.length, source, level
        )

    def at(self, path: KeyPath) -> Any:
        """Return the data at a path; None where the file has none."""
        value: Any = self.data
        for element in path:
            try:
                value = value[element]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def existing_path(self, path: KeyPath) -> KeyPath:
        """Return the path without those of its elements that the file does not have."""
        existing: KeyPath = ()
        for element in path:
            if (*existing, element) in self._values:
                existing = (*existing, element)
        return existing

    def _mark_of_word(self, path: KeyPath, word: str) -> Mark | None:
        """Return the mark of the first key or text below a path that has a word."""
        top = self.existing_path(path)
        whole_word = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
        for below, mark in self._values.items():
            if below[: len(top)] != top:
                continue
            if len(below) > len(top) and below[-1] == word and below in self._keys:
                return self._keys[below]
            value = self.at(below)
            match = whole_word.search(value) if isinstance(value, str) else None
            if match:
                return self._mark_inside(mark, value, match.start(), len(word))
        return None

    def _mark_inside(self, mark: Mark, text: str, offset: int, length: int) -> Mark:
        """Return the mark of a part of a text."""
        lines = self.files[mark.path]
        line, column = position_of(lines, mark.line, mark.column, mark.style, text, offset)
        return Mark(mark.path, line, column, length)


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


def parse_readable_part(path: Path) -> Document:
    """Read files as `parse` does, each up to its first error if it can't be read to its end.

    Raises RuleError when there is no file.
    """
    reader = YamlLoader()
    for file in _files(path):
        reader.read(file)
    return from_data(reader.data, path, "")


def from_data(data: dict[str, Any], path: Path, revision: str) -> Document:
    """Return plain data as a document; everything in it stands in the first line of `path`."""
    return Document(data, {path: ("",)}, revision, (), {(): Mark(path, 1, 1)}, {})


def parse_text(text: str, path: Path) -> Document:
    """Read a text as if it stood in the file `path`. Raises RuleError as `parse` does."""
    reader = YamlLoader()
    reader.read_bytes(text.encode(), path)
    return _document(reader)


def texts(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Yield all texts in plain data that stands at a path, each with its own path."""
    pending = [(path, value)]
    while pending:
        item_path, item = pending.pop()
        if isinstance(item, str):
            yield item_path, item
            continue
        items: list[tuple[str | int, Any]] = []
        if isinstance(item, dict):
            items = list(item.items())
        elif isinstance(item, list):
            items = list(enumerate(item))
        for key, below in reversed(items):
            pending.append(((*item_path, key), below))


def _offset(text: str, line: int, column: int) -> int:
    """Return the offset of a line and column (1-based) in a text."""
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    return start + column - 1


def _files(path: Path) -> list[Path]:
    """Return the file, or the rules files of the folder, in the order of their names.

    Raises RuleError when there is none, or the folder can't be read.
    """
    try:
        if not path.is_dir():
            # Other problems of the file are reported when it is read.
            path.stat()
            return [path]
        # A broken link is a file that can't be read, not a missing one.
        files = [
            file
            for file in path.iterdir()
            if file.suffix in (".yaml", ".yml") and not file.is_dir()
        ]
    except FileNotFoundError:
        advice = "`sanityd init` writes a first one; `--rules` names it"
        raise RuleError([Problem("there is no such file", advice, path)]) from None
    except OSError as error:
        message = f"this can't be read ({error.strerror})"
        raise RuleError([Problem(message, "check its name and rights", path)]) from None
    if not files:
        message = f"there is no rules file in `{path}`"
        raise RuleError([Problem(message, "`sanityd init` writes a first one", path)])
    return sorted(files)


def _document(reader: YamlLoader) -> Document:
    problems = sorted(
        reader.problems, key=lambda problem: (str(problem.path), problem.line, problem.column)
    )
    if reader.stopped:
        raise RuleError(tuple(problems))
    first = next(iter(reader.files))
    reader.values.setdefault((), Mark(first, 1, 1))
    revision = reader.hash.hexdigest()[:7]
    return Document(
        reader.data, reader.files, revision, tuple(problems), reader.values, reader.keys
    )
