"""Strict YAML → plain data and marks.

Scalars are those of YAML 1.2 (`no`, `on` and `12:30` stay text). Aliases, tags, merge keys and
doubled keys are problems. The data is composed from the parser's events in a loop, not by
recursion, so that no nesting can exhaust the stack.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sanityd.errors import Problem
from sanityd.rules.file_reader import read_file
from sanityd.rules.yaml.errors import yaml_error

KeyPath = tuple[str | int, ...]

#: libyaml reads ten times faster; the wheel has it on all common machines.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LARGEST = 10_000_000
_DEEPEST = 50
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_LINE_END = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INTEGER = re.compile(r"[-+]?[0-9]{1,1000}")
_OCTAL = re.compile(r"0o[0-7]{1,20}")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]{1,16}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}


@dataclass(frozen=True, slots=True)
class Mark:
    """The position of a key or value in a file: 1-based.

    `length` counts the characters of its first line; `style` is the style of a scalar as YAML has
    it.
    """

    path: Path
    line: int
    column: int
    length: int = 1
    style: str = ""


class _Stop(Exception):  # not an error: this file is read no further
    """The file is read no further."""


@dataclass(slots=True)
class _Frame:
    """A mapping or list that is being read."""

    container: dict[str, Any] | list[Any]
    path: KeyPath
    #: Where it begins, 0-based.
    start: tuple[int, int] = (0, 0)
    key: str | None = None
    #: Whether the next event is a key.
    at_key: bool = True


class YamlLoader:
    """Collects data, marks and problems of one or more files."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        self.files: dict[Path, tuple[str, ...]] = {}
        self.values: dict[KeyPath, Mark] = {}
        self.keys: dict[KeyPath, Mark] = {}
        self.problems: list[Problem] = []
        self.hash = hashlib.sha256()
        self.stopped = False

    def read(self, path: Path) -> None:
        """Read one file and collect its problems."""
        try:
            content = read_file(path, _LARGEST + 1)
        except OSError as error:
            self._say(f"the file can't be read ({error.strerror})", "check its rights", path)
            self.stopped = True
        else:
            self.read_bytes(content, path)

    def read_bytes(self, content: bytes, path: Path) -> None:
        """Read the content of a file."""
        self.hash.update(content)
        try:
            text = self._text(content, path)
            _DataComposer(self, path, text).compose()
        except _Stop:
            self.stopped = True

    def _text(self, content: bytes, path: Path) -> str:
        if len(content) > _LARGEST:
            self._say("the file is larger than 10 MB", "make a folder of smaller files", path)
            raise _Stop
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self._not_utf8(content, error.start, path)
            raise _Stop from None
        self.files[path] = tuple(_LINE_END.split(text))
        forbidden = _FORBIDDEN.search(text)
        if forbidden:
            message = f"a control character (U+{ord(forbidden[0]):04X}) stands here"
            before = _LINE_END.split(text[: forbidden.start()])
            self._say(message, "take it out", path, len(before), len(before[-1]) + 1)
            raise _Stop
        return text

    def _not_utf8(self, content: bytes, start: int, path: Path) -> None:
        """Report the first byte that is not UTF-8; its line is shown as far as it can be read."""
        self.files[path] = tuple(_LINE_END.split(content.decode("utf-8-sig", errors="replace")))
        before = _LINE_END.split(content[:start].decode("utf-8-sig", errors="replace"))
        is_utf_16 = content.startswith(_UTF_16)
        message = "this is UTF-16" if is_utf_16 else "this is not UTF-8"
        self._say(message, "save the file as UTF-8", path, len(before), len(before[-1]) + 1)

    def _say(
        self, message: str, advice: str, path: Path, line: int = 1, column: int = 1, length: int = 1
    ) -> None:
        lines = self.files.get(path, ())
        source = lines[line - 1] if line <= len(lines) else ""
        self.problems.append(Problem(message, advice, path, line, column, length, source))

    def say(self, message: str, advice: str, mark: Mark) -> None:
        """Collect a problem."""
        self._say(message, advice, mark.path, mark.line, mark.column, mark.length)


class _DataComposer:
    """Composes the data of one file from its events, in a loop."""

    def __init__(self, reader: YamlLoader, path: Path, text: str) -> None:
        self.reader = reader
        self.path = path
        self.text = text
        self.stack: list[_Frame] = []
        self.documents = 0

    def compose(self) -> None:
        """Read all of the file. Raises _Stop where it can be read no further."""
        event: yaml.Event | None = None
        try:
            for event in yaml.parse(self.text, Loader=_LOADER):
                self._take(event)
        except yaml.MarkedYAMLError as error:
            opened = self.stack[-1].start if self.stack else None
            explained = yaml_error(error, self.reader.files[self.path], event, opened)
            mark = Mark(self.path, explained.line, explained.column, explained.length)
            self.reader.say(explained.message, explained.advice, mark)
            raise _Stop from None
        if not self.documents:
            advice = "`sanityd init` writes a first one"
            self.reader.say("the file is empty", advice, Mark(self.path, 1, 1))
            raise _Stop

    def _take(self, event: Any) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._begin_document(event)
            case yaml.AliasEvent():
                mark = self._mark(event)
                advice = "write out what it stands for"
                self.reader.say(f"`*{event.anchor}` is an alias", advice, mark)
                self._skip(mark)
            case yaml.ScalarEvent():
                self._check_node(event)
                self._scalar(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._check_node(event)
                self._open(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self.stack.pop()

    def _begin_document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            message = "a second document begins here"
            self.reader.say(message, "take out the `---`", self._mark(event))
            raise _Stop

    def _frame_at_key(self) -> _Frame | None:
        """Return the innermost frame if it is a mapping whose next event is a key."""
        if not self.stack:
            return None
        frame = self.stack[-1]
        return frame if isinstance(frame.container, dict) and frame.at_key else None

    def _skip(self, mark: Mark) -> None:
        """Leave out a key with its value; a value becomes None."""
        frame = self._frame_at_key()
        if frame is not None:
            frame.at_key, frame.key = False, None
        else:
            self._put(None, mark)

    def _check_node(self, event: Any) -> None:
        if event.anchor is not None:
            advice = "take it out; there are no aliases here"
            self.reader.say(f"`&{event.anchor}` is an anchor", advice, self._mark(event))
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            advice = "take it out; quote a value to make it text"
            self.reader.say(f"`{tag}` is a tag", advice, self._mark(event))

    def _scalar(self, event: Any) -> None:
        mark = self._mark(event)
        frame = self._frame_at_key()
        if frame is not None:
            self._key(frame, event.value, mark, plain=not event.style)
        else:
            self._put(self._value(event, mark), mark)

    def _key(self, frame: _Frame, key: str, mark: Mark, *, plain: bool) -> None:
        frame.at_key, frame.key = False, key
        if key == "<<" and plain:
            self.reader.say("`<<` is a merge key", "write out what it brings in", mark)
            frame.key = None
            return
        path = (*frame.path, key)
        first = self.reader.keys.get(path)
        if first is None:
            self.reader.keys[path] = mark
            return
        in_same_file = first.path == self.path
        if not in_same_file and len(path) == 1:
            # Files of a folder share their sections.
            return
        where = f"line {first.line}" if in_same_file else f"{first.path.name}:{first.line}"
        message = f"`{key}` is defined twice; first in {where}"
        self.reader.say(message, "keep one of them", mark)
        # The values below it do not belong to the first key, and are no problems of their own.
        frame.key = None

    def _open(self, event: Any) -> None:
        """Begin a mapping or list."""
        mark = self._mark(event)
        start = (mark.line - 1, mark.column - 1)
        is_map = isinstance(event, yaml.MappingStartEvent)
        if len(self.stack) >= _DEEPEST:
            message = f"this is nested deeper than {_DEEPEST} levels"
            self.reader.say(message, "write it flatter", mark)
            raise _Stop
        container: Any = {} if is_map else []
        frame = self._frame_at_key()
        if frame is not None:
            self.reader.say("a key must be text", "write a word as the key", mark)
            frame.at_key, frame.key = False, None
            unnamed = f"?{mark.line}:{mark.column}"
            self.stack.append(_Frame(container, (*frame.path, unnamed), start))
            return
        path = self._value_path()
        section = self._section(path, is_map)
        if section is not None:
            container = section
        self._put(container, mark)
        self.stack.append(_Frame(container, path, start))

    def _section(self, path: KeyPath, is_map: bool) -> dict[str, Any] | None:
        """Return the mapping that another file began, for the top level and its sections.

        The files of a folder are read as one.
        """
        if not is_map or len(path) > 1:
            return None
        if not path:
            return self.reader.data
        section = self.reader.data.get(str(path[0]))
        return section if isinstance(section, dict) else None

    def _value_path(self) -> KeyPath:
        """Return the path of the next value."""
        if not self.stack:
            return ()
        frame = self.stack[-1]
        if isinstance(frame.container, list):
            return (*frame.path, len(frame.container))
        if frame.key is None:
            # The value of a refused key needs a path that no other value has.
            return (*frame.path, f"?{len(self.reader.values)}")
        return (*frame.path, frame.key)

    def _put(self, value: Any, mark: Mark) -> None:
        """Add a value to the innermost mapping or list."""
        self.reader.values.setdefault(self._value_path(), mark)
        if not self.stack:
            if not isinstance(value, dict):
                self.reader.say("a rules file is a mapping", "begin with `sources:`", mark)
                raise _Stop
            return
        frame = self.stack[-1]
        if isinstance(frame.container, list):
            frame.container.append(value)
            return
        if frame.key is not None:
            frame.container[frame.key] = value
        frame.at_key = True

    def _value(self, event: Any, mark: Mark) -> Any:
        """Return a scalar as YAML 1.2's core schema reads it."""
        value = event.value if event.style else scalar(event.value)
        if value in (float("inf"), float("-inf")):
            self.reader.say("this number is too large", "quote it to make it text", mark)
        return value

    def _mark(self, event: Any) -> Mark:
        start, end, lines = event.start_mark, event.end_mark, self.reader.files[self.path] or [""]
        if start.line >= len(lines):
            # An event at the end of the file is behind its last character.
            return Mark(self.path, len(lines), len(lines[-1]) + 1, 1)
        line = lines[start.line]
        last = end.column if end.line == start.line else len(line)
        style = getattr(event, "style", None) or ""
        return Mark(self.path, start.line + 1, start.column + 1, max(1, last - start.column), style)


def scalar(text: str) -> Any:
    """Return a word without quotes as YAML 1.2's core schema reads it."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEXADECIMAL.fullmatch(text):
        return int(text[2:], 16)
    return float(text) if _FLOAT.fullmatch(text) else text
