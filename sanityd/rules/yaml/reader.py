"""Strict YAML → plain data and marks: YAML 1.2's scalars (`no`, `on` and `12:30` stay text); no
aliases, no tags, no merge keys, no doubled keys.

Composed from the parser's events in a loop, not by recursion, so that no nesting can exhaust the
stack.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sanityd.errors import Problem
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
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    form: value
    for word, value in (("true", True), ("false", False))
    for form in (word, word.title(), word.upper())
}


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something stands: 1-based; `length` in characters of its first line; `style` of a
    scalar as YAML has it."""

    path: Path
    line: int
    column: int
    length: int = 1
    style: str = ""


class _Stop(Exception):  # not an error: this file is read no further
    """The file is read no further."""


@dataclass(slots=True)
class _Frame:
    """A mapping or list that is being read. A frame without a container is read past."""

    container: dict[str, Any] | list[Any] | None
    place: KeyPath
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
        """Read one file; what is wrong with it is kept."""
        try:
            # No more than is needed to see that it is too large: it may be a device that has no
            # end.
            with path.open("rb") as file:
                content = file.read(_LARGEST + 1)
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
            _Composer(self, path, text).compose()
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
        if found := _FORBIDDEN.search(text):
            before = _LINE_END.split(text[: found.start()])
            self._say(
                f"a control character (U+{ord(found[0]):04X}) stands here",
                "take it out",
                path,
                len(before),
                len(before[-1]) + 1,
            )
            raise _Stop
        return text

    def _not_utf8(self, content: bytes, start: int, path: Path) -> None:
        """What can be read of the line is shown, so that the place is found."""
        self.files[path] = tuple(_LINE_END.split(content.decode("utf-8-sig", errors="replace")))
        before = _LINE_END.split(content[:start].decode("utf-8-sig", errors="replace"))
        what = "this is UTF-16" if content.startswith(_UTF_16) else "this is not UTF-8"
        self._say(what, "save the file as UTF-8", path, len(before), len(before[-1]) + 1)

    def _say(
        self, message: str, advice: str, path: Path, line: int = 1, column: int = 1, length: int = 1
    ) -> None:
        lines = self.files.get(path, ())
        source = lines[line - 1] if line <= len(lines) else ""
        self.problems.append(Problem(message, advice, path, line, column, length, source))

    def say(self, message: str, advice: str, mark: Mark) -> None:
        """Keep a problem."""
        self._say(message, advice, mark.path, mark.line, mark.column, mark.length)


class _Composer:
    """Events of one file → data, in a loop."""

    def __init__(self, reader: YamlLoader, path: Path, text: str) -> None:
        self.reader = reader
        self.path = path
        self.text = text
        self.stack: list[_Frame] = []
        self.documents = 0

    def compose(self) -> None:
        """Read all of the file."""
        event: yaml.Event | None = None
        try:
            for event in yaml.parse(self.text, Loader=_LOADER):
                self._take(event)
        except yaml.MarkedYAMLError as error:
            opened = self.stack[-1].start if self.stack else None
            found = yaml_error(error, self.reader.files[self.path], event, opened)
            self.reader.say(
                found.message, found.advice, Mark(self.path, found.line, found.column, found.length)
            )
            raise _Stop from None
        if not self.documents:
            self.reader.say(
                "the file is empty", "`sanityd init` writes a first one", Mark(self.path, 1, 1)
            )
            raise _Stop

    def _take(self, event: Any) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    self.reader.say(
                        "a second document begins here", "take out the `---`", self._mark(event)
                    )
                    raise _Stop
            case yaml.AliasEvent():
                self.reader.say(
                    f"`*{event.anchor}` is an alias",
                    "write out what it stands for",
                    self._mark(event),
                )
                self._skip(self._mark(event))
            case yaml.ScalarEvent():
                self._check_node(event)
                self._scalar(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._check_node(event)
                self._open(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self.stack.pop()

    def _skip(self, mark: Mark) -> None:
        frame = self.stack[-1] if self.stack else None
        if frame is not None and isinstance(frame.container, dict) and frame.at_key:
            frame.at_key, frame.key = False, None
        else:
            self._put(None, mark)

    def _check_node(self, event: Any) -> None:
        if event.anchor is not None:
            self.reader.say(
                f"`&{event.anchor}` is an anchor",
                "take it out; there are no aliases here",
                self._mark(event),
            )
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.reader.say(
                f"`{tag}` is a tag", "take it out; quote a value to make it text", self._mark(event)
            )

    def _scalar(self, event: Any) -> None:
        mark = self._mark(event)
        frame = self.stack[-1] if self.stack else None
        if frame is not None and isinstance(frame.container, dict) and frame.at_key:
            self._key(frame, event.value, mark, plain=not event.style)
            return
        self._put(self._value(event, mark), mark)

    def _key(self, frame: _Frame, key: str, mark: Mark, *, plain: bool) -> None:
        place = (*frame.place, key)
        frame.at_key, frame.key = False, key
        if key == "<<" and plain:
            self.reader.say("`<<` is a merge key", "write out what it brings in", mark)
            frame.key = None
        elif (first := self.reader.keys.get(place)) is None:
            self.reader.keys[place] = mark
        elif first.path == self.path or len(place) > 1:
            where = (
                f"line {first.line}"
                if first.path == self.path
                else f"{first.path.name}:{first.line}"
            )
            self.reader.say(
                f"`{key}` stands here for the second time; first in {where}",
                "keep one of them",
                mark,
            )
            # What is below it isn't the first one's, and is no mistake of its own.
            frame.key = None

    def _open(self, event: Any) -> None:
        mark = self._mark(event)
        is_map = isinstance(event, yaml.MappingStartEvent)
        if len(self.stack) >= _DEEPEST:
            self.reader.say(
                f"this is nested deeper than {_DEEPEST} levels", "write it flatter", mark
            )
            raise _Stop
        frame = self.stack[-1] if self.stack else None
        if frame is not None and isinstance(frame.container, dict) and frame.at_key:
            self.reader.say("a key must be text", "write a word as the key", mark)
            frame.at_key, frame.key = False, None
            place = (*frame.place, f"?{mark.line}:{mark.column}")
            self.stack.append(_Frame({} if is_map else [], place, (mark.line - 1, mark.column - 1)))
            return
        place = self._place()
        section = self._section(place, is_map)
        container: Any = section if section is not None else {} if is_map else []
        self._put(container, mark)
        self.stack.append(_Frame(container, place, (mark.line - 1, mark.column - 1)))

    def _section(self, place: KeyPath, is_map: bool) -> dict[str, Any] | None:
        """The mapping that another file began, for the top level and its sections: files of a
        folder are one."""
        if not is_map or len(place) > 1:
            return None
        if not place:
            return self.reader.data
        known = self.reader.data.get(str(place[0]))
        return known if isinstance(known, dict) else None

    def _place(self) -> KeyPath:
        if not self.stack:
            return ()
        frame = self.stack[-1]
        if isinstance(frame.container, list):
            return (*frame.place, len(frame.container))
        # What belongs to no key that counts has a place of its own.
        return (*frame.place, f"?{len(self.reader.values)}" if frame.key is None else frame.key)

    def _put(self, value: Any, mark: Mark) -> None:
        """A value into what is being read."""
        place = self._place()
        self.reader.values.setdefault(place, mark)
        if not self.stack:
            if not isinstance(value, dict):
                self.reader.say("a rules file is a mapping", "begin with `sources:`", mark)
                raise _Stop
            return
        frame = self.stack[-1]
        if isinstance(frame.container, list):
            frame.container.append(value)
        elif isinstance(frame.container, dict):
            if frame.key is not None:
                frame.container[frame.key] = value
            frame.at_key = True

    def _value(self, event: Any, mark: Mark) -> Any:
        """A scalar as YAML 1.2's core schema reads it."""
        value = event.value if event.style else scalar(event.value)
        if value in (float("inf"), float("-inf")):
            self.reader.say("this number is too large", "quote it to make it text", mark)
        return value

    def _mark(self, event: Any) -> Mark:
        start, end, lines = event.start_mark, event.end_mark, self.reader.files[self.path] or [""]
        if start.line >= len(lines):
            # What is missing at the end of a file is missed behind its last character.
            return Mark(self.path, len(lines), len(lines[-1]) + 1, 1)
        line = lines[start.line]
        last = end.column if end.line == start.line else len(line)
        style = getattr(event, "style", None) or ""
        return Mark(self.path, start.line + 1, start.column + 1, max(1, last - start.column), style)


def scalar(text: str) -> Any:
    """A word that stands without quotes, as YAML 1.2's core schema reads it."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEXADECIMAL.fullmatch(text):
        return int(text[2:], 16)
    return float(text) if _FLOAT.fullmatch(text) else text
