"""YAML of other tools, as data that knows its line. It may use anchors and merge keys, which our own files may not.

What is read is bounded in size, depth and, as aliases multiply, in what they stand for.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sanityd.authoring.migrate.draft import SourceLocation
from sanityd.errors import Problem, RuleError
from sanityd.rules.yaml.reader import scalar

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LARGEST = 10_000_000
_DEEPEST = 50
#: How many values one check may be made of, aliases written out.
_MOST = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A value with its place. `value` is a mapping of texts to nodes, a list of nodes, or a scalar."""

    value: Any
    place: SourceLocation
    column: int
    #: A scalar as it is written.
    raw: str = ""
    height: int = field(default=0, repr=False)

    def get(self, *names: str) -> "Node | None":
        """What stands under the first of the names that is there; None when there is none, or this is no mapping."""
        if not isinstance(self.value, dict):
            return None
        return next((self.value[name] for name in names if name in self.value), None)

    def text(self, *names: str) -> str | None:
        """The text under a name; None when there is none. Raises RuleError for a list or a mapping."""
        found = self.get(*names)
        if found is not None and isinstance(found.value, list | dict):
            raise wrong(
                found, f"`{names[0]}` is one word or text, and this is several", "write one"
            )
        return (
            None
            if found is None or found.value is None
            else found.raw
            if found.raw
            else str(found.value)
        )

    def list(self, *names: str) -> "list[Node]":
        """What is listed under a name: nothing, one or several. Raises RuleError for a mapping."""
        found = self.get(*names) if names else self
        if found is None or found.value is None:
            return []
        if isinstance(found.value, dict):
            raise wrong(
                found, "this is a mapping, where a list is expected", "begin each line with `- `"
            )
        return found.value if isinstance(found.value, list) else [found]

    def mappings(self, name: str) -> "Sequence[Node]":
        """The mappings that are listed under a name. Raises RuleError for anything else."""
        found = self.list(name)
        if odd := [node for node in found if not isinstance(node.value, dict)]:
            raise wrong(
                odd[0],
                f"what is listed under `{name}` must be mappings",
                "begin each with `- name: …`",
            )
        return found

    def mapping(self, name: str) -> "dict[str, Node]":
        """The mapping under a name; empty when there is none."""
        found = self.get(name)
        return found.value if found is not None and isinstance(found.value, dict) else {}

    def plain(self) -> Any:
        """The value without places. Raises RuleError when its aliases make it too large."""
        budget = [_MOST]
        return _plain(self, budget)


def read(path: Path, *, version: str = "1.2") -> Node:
    """Read a file. `version` is the one of YAML by which the other tool understands words such as `no`.

    Raises RuleError, with the place, for what can't be read.
    """
    text = read_text(path)
    with _told(path, text):
        _measure(text, path)
        root = yaml.compose(text, Loader=_LOADER)
    if root is None:
        raise _wrong(path, 1, 1, "the file is empty", "name a file that has checks")
    return _Converter(path, version).node(root)


def read_text(path: Path) -> str:
    """A file as text. Raises RuleError when it isn't one, or is too large."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _wrong(
            path, 0, 0, f"the file can't be read ({error.strerror})", "check its name and rights"
        ) from None
    if len(content) > _LARGEST:
        raise _wrong(path, 0, 0, "the file is larger than 10 MB", "import it in parts")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _wrong(path, line, 1, "this is not UTF-8", "save the file as UTF-8") from None


def wrong(node: Node, message: str, advice: str) -> RuleError:
    """A mistake at a node's place."""
    return _wrong(node.place.path, node.place.line, node.column, message, advice)


def _wrong(path: Path, line: int, column: int, message: str, advice: str) -> RuleError:
    return RuleError([Problem(message, advice, path, line, column, source_line=_line(path, line))])


def _line(path: Path, number: int) -> str:
    """A line of a file that was read before, for the caret."""
    try:
        lines = path.read_text("utf-8-sig", errors="replace").splitlines() if number else []
    except OSError:
        return ""
    return lines[number - 1] if 0 < number <= len(lines) else ""


@contextmanager
def _told(path: Path, text: str) -> Iterator[None]:
    """What the parser refuses, as a problem at its place."""
    try:
        yield
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # What is missing at the end is told at the last line.
        line = min(mark.line, len(text.splitlines()) - 1) + 1 if mark else 1
        column = mark.column + 1 if mark and line == mark.line + 1 else 1
        what = error.problem or error.context or "it can't be read"
        raise _wrong(
            path, line, column, f"this is not YAML: {what}", "check indentation and quotes"
        ) from None
    except yaml.YAMLError:
        raise _wrong(
            path, 1, 1, "this is not YAML: it has a control character", "take it out"
        ) from None


def _measure(text: str, path: Path) -> None:
    """Refuse deep nesting before it is composed, which goes by recursion."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            depth += 1
            if depth > _DEEPEST:
                mark = event.start_mark
                line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
                raise _wrong(
                    path,
                    line,
                    column,
                    f"this is nested deeper than {_DEEPEST} levels",
                    "write it flatter",
                )
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            depth -= 1


class _Converter:
    """YAML's nodes → ours. What is named once and used often is converted once."""

    def __init__(self, path: Path, version: str) -> None:
        self.path = path
        self.words = yaml.SafeLoader("") if version == "1.1" else None
        self.known: dict[int, Node | None] = {}

    def node(self, node: Any) -> Node:
        """One node, and those in it."""
        if id(node) in self.known:
            found = self.known[id(node)]
            if found is None:
                raise self._wrong(node, "this contains itself", "write out what is meant")
            return found
        self.known[id(node)] = None
        made = self._made(node)
        if made.height > _DEEPEST:
            raise self._wrong(
                node, f"this is nested deeper than {_DEEPEST} levels", "write it flatter"
            )
        self.known[id(node)] = made
        return made

    def _made(self, node: Any) -> Node:
        if isinstance(node, yaml.ScalarNode):
            return self._node(node, self._scalar(node), (), node.value)
        if isinstance(node, yaml.SequenceNode):
            items = [self.node(item) for item in node.value]
            return self._node(node, items, items)
        pairs = self._pairs(node)
        return self._node(node, pairs, pairs.values())

    def _pairs(self, node: Any) -> dict[str, Node]:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._wrong(key, "a key must be text", "write a word as the key")
            if key.value == "<<" and not key.style:
                for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    brought = self.node(part).value
                    if not isinstance(brought, dict):
                        raise self._wrong(key, "`<<` brings in no mapping", "name a mapping")
                    merged = {**brought, **merged}
            elif key.value in own:
                raise self._wrong(
                    key, f"`{key.value[:60]}` stands here for the second time", "keep one of them"
                )
            else:
                own[key.value] = self.node(value)
        return {**merged, **own}

    def _scalar(self, node: Any) -> Any:
        if node.style or (node.tag and not node.tag.startswith("tag:yaml.org,2002:")):
            return node.value
        if self.words is None:
            return scalar(node.value)
        try:
            value = self.words.construct_object(node)
            # A date stays as it is written: what it means depends on where it is used.
            return value if isinstance(value, str | int | float | None) else node.value
        except (yaml.YAMLError, ValueError):
            raise self._wrong(
                node, f"`{node.value[:60]}` can't be read as YAML", "quote it"
            ) from None

    def _node(self, node: Any, value: Any, inner: Any, raw: str = "") -> Node:
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        height = 1 + max((child.height for child in inner), default=0)
        return Node(value, SourceLocation(self.path, line), column, raw, height)

    def _wrong(self, node: Any, message: str, advice: str) -> RuleError:
        return _wrong(
            self.path, node.start_mark.line + 1, node.start_mark.column + 1, message, advice
        )


def _plain(node: Node, budget: list[int]) -> Any:
    budget[0] -= 1
    if budget[0] < 0:
        raise wrong(
            node, f"this stands for more than {_MOST:,} values", "write less into one check"
        )
    if isinstance(node.value, dict):
        return {name: _plain(inner, budget) for name, inner in node.value.items()}
    if isinstance(node.value, list):
        return [_plain(inner, budget) for inner in node.value]
    return node.value
