"""Reading YAML files of other tools into nodes that know their line.

Anchors and merge keys are allowed, other than in rules files. The size and depth of a file are
limited, and, because aliases multiply, the number of values that one check stands for.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sanityd.authoring.migrate.import_result import SourceLocation
from sanityd.errors import Problem, RuleError
from sanityd.rules.yaml.reader import scalar

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_BYTES = 10_000_000
_MAX_DEPTH = 50
#: The number of values of which one check may consist, with all aliases written out.
_MAX_VALUES = 10_000
_TOO_DEEP = f"this is nested deeper than {_MAX_DEPTH} levels"


@dataclass(frozen=True, slots=True, eq=False)
class YamlNode:
    """A YAML value and its location.

    `value` is a mapping of texts to nodes, a list of nodes, or a scalar.
    """

    value: Any
    location: SourceLocation
    column: int
    #: A scalar as it is written in the file.
    raw: str = ""
    height: int = field(default=0, repr=False)

    def get(self, *names: str) -> "YamlNode | None":
        """Return the node below the first of these keys that exists; None without such a key."""
        if not isinstance(self.value, dict):
            return None
        for name in names:
            if name in self.value:
                node: YamlNode = self.value[name]
                return node
        return None

    def text(self, *names: str) -> str | None:
        """Return the text below a key; None without one. Raises RuleError for a list or mapping."""
        node = self.get(*names)
        if node is None:
            return None
        if isinstance(node.value, list | dict):
            raise error_at(
                node, f"`{names[0]}` is one word or text, and this is several", "write one"
            )
        if node.value is None:
            return None
        return node.raw or str(node.value)

    def is_true(self, name: str) -> bool:
        """Tell whether the value below a key is `true`."""
        node = self.get(name)
        return node is not None and node.value is True

    def list(self, *names: str) -> "list[YamlNode]":
        """Return the nodes that are listed below a key; a single value counts as a list.

        Without a key, those of this node itself. Raises RuleError for a mapping.
        """
        node = self.get(*names) if names else self
        if node is None or node.value is None:
            return []
        if isinstance(node.value, dict):
            raise error_at(
                node, "this is a mapping, where a list is expected", "begin each line with `- `"
            )
        if isinstance(node.value, list):
            return node.value
        return [node]

    def mappings(self, name: str) -> "Sequence[YamlNode]":
        """Return the mappings that are listed below a key. Raises RuleError for other values."""
        nodes = self.list(name)
        for node in nodes:
            if not isinstance(node.value, dict):
                raise error_at(
                    node,
                    f"what is listed under `{name}` must be mappings",
                    "begin each with `- name: …`",
                )
        return nodes

    def mapping(self, name: str) -> "dict[str, YamlNode]":
        """Return the mapping below a key; empty where there is none."""
        node = self.get(name)
        if node is None or not isinstance(node.value, dict):
            return {}
        return node.value

    def plain(self) -> Any:
        """Return the value without locations. Raises RuleError when aliases make it too large."""
        return _PlainDataBuilder().build(self)

    def plain_mapping(self) -> dict[str, Any]:
        """Return a mapping without locations; empty for any other value."""
        if not isinstance(self.value, dict):
            return {}
        mapping: dict[str, Any] = self.plain()
        return mapping


def plain_or_none(node: YamlNode | None) -> Any:
    """Return the value of a node without locations; None without a node."""
    if node is None:
        return None
    return node.plain()


def read_yaml(path: Path, *, version: str = "1.2") -> YamlNode:
    """Read a YAML file.

    Parameters: `version` is the YAML version by which the other tool reads words such as `no`.
    Raises RuleError, with the location, when the file can't be read.
    """
    text = read_text(path)
    with _syntax_errors(path, text):
        _check_depth(text, path)
        root = yaml.compose(text, Loader=_LOADER)
    if root is None:
        raise _error(path, 1, 1, "the file is empty", "name a file that has checks")
    return _NodeBuilder(path, version).build(root)


def read_text(path: Path) -> str:
    """Read a text file. Raises RuleError when it can't be read, is too large or no UTF-8."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _error(
            path, 0, 0, f"the file can't be read ({error.strerror})", "check its name and rights"
        ) from None
    if len(content) > _MAX_BYTES:
        raise _error(path, 0, 0, "the file is larger than 10 MB", "import it in parts")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _error(path, line, 1, "this is not UTF-8", "save the file as UTF-8") from None


def error_at(node: YamlNode, message: str, advice: str) -> RuleError:
    """Return an error at the location of a node."""
    return _error(node.location.path, node.location.line, node.column, message, advice)


def _error(path: Path, line: int, column: int, message: str, advice: str) -> RuleError:
    source_line = _source_line(path, line)
    return RuleError([Problem(message, advice, path, line, column, source_line=source_line)])


def _source_line(path: Path, number: int) -> str:
    """Return a line of a file (1-based), which is shown with the error."""
    if number <= 0:
        return ""
    try:
        lines = path.read_text("utf-8-sig", errors="replace").splitlines()
    except OSError:
        return ""
    if number > len(lines):
        return ""
    return lines[number - 1]


@contextmanager
def _syntax_errors(path: Path, text: str) -> Iterator[None]:
    """Turn errors of the YAML parser into RuleErrors with a location."""
    try:
        yield
    except yaml.MarkedYAMLError as error:
        line, column = _error_location(error, text)
        cause = error.problem or error.context or "it can't be read"
        raise _error(
            path, line, column, f"this is not YAML: {cause}", "check indentation and quotes"
        ) from None
    except yaml.YAMLError:
        raise _error(
            path, 1, 1, "this is not YAML: it has a control character", "take it out"
        ) from None


def _error_location(error: yaml.MarkedYAMLError, text: str) -> tuple[int, int]:
    """Return the line and column (1-based) of a syntax error."""
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return 1, 1
    # The parser reports what is missing at the end on a line behind the last one.
    last_line = len(text.splitlines())
    if mark.line + 1 > last_line:
        return last_line, 1
    return mark.line + 1, mark.column + 1


def _check_depth(text: str, path: Path) -> None:
    """Raise RuleError for deep nesting, before the parser composes the file by recursion."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                mark = event.start_mark
                line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
                raise _error(path, line, column, _TOO_DEEP, "write it flatter")
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            depth -= 1


class _NodeBuilder:
    """Builds our nodes from those of PyYAML. A node with several aliases is built once."""

    def __init__(self, path: Path, version: str) -> None:
        self._path = path
        self._yaml_1_1 = yaml.SafeLoader("") if version == "1.1" else None
        #: By the id of PyYAML's node; None while its content is being built.
        self._built: dict[int, YamlNode | None] = {}

    def build(self, node: Any) -> YamlNode:
        """Return the node with all that it contains."""
        if id(node) in self._built:
            built = self._built[id(node)]
            if built is None:
                raise self._error(node, "this contains itself", "write out what is meant")
            return built
        self._built[id(node)] = None
        built = self._build_content(node)
        if built.height > _MAX_DEPTH:
            raise self._error(node, _TOO_DEEP, "write it flatter")
        self._built[id(node)] = built
        return built

    def _build_content(self, node: Any) -> YamlNode:
        if isinstance(node, yaml.ScalarNode):
            return self._node(node, self._scalar(node), (), node.value)
        if isinstance(node, yaml.SequenceNode):
            items = [self.build(item) for item in node.value]
            return self._node(node, items, items)
        pairs = self._pairs(node)
        return self._node(node, pairs, pairs.values())

    def _pairs(self, node: Any) -> dict[str, YamlNode]:
        """Return the keys and values of a mapping; its own ones win over merged ones."""
        own: dict[str, YamlNode] = {}
        merged: dict[str, YamlNode] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(key, "a key must be text", "write a word as the key")
            if key.value == "<<" and not key.style:
                # Of several merge keys, the pairs of the first one win.
                merged = {**self._merged_pairs(key, value), **merged}
            elif key.value in own:
                name = key.value[:60]
                raise self._error(key, f"`{name}` is defined twice", "keep one of them")
            else:
                own[key.value] = self.build(value)
        return {**merged, **own}

    def _merged_pairs(self, key: Any, value: Any) -> dict[str, YamlNode]:
        """Return the pairs that a merge key (`<<`) brings in; the first mapping listed wins."""
        parts = value.value if isinstance(value, yaml.SequenceNode) else [value]
        pairs: dict[str, YamlNode] = {}
        for part in parts:
            mapping = self.build(part).value
            if not isinstance(mapping, dict):
                raise self._error(key, "`<<` brings in no mapping", "name a mapping")
            pairs = {**mapping, **pairs}
        return pairs

    def _scalar(self, node: Any) -> Any:
        is_tagged = node.tag and not node.tag.startswith("tag:yaml.org,2002:")
        if node.style or is_tagged:
            return node.value
        if self._yaml_1_1 is None:
            return scalar(node.value)
        try:
            value = self._yaml_1_1.construct_object(node)
        except (yaml.YAMLError, ValueError):
            raise self._error(
                node, f"`{node.value[:60]}` can't be read as YAML", "quote it"
            ) from None
        if isinstance(value, str | int | float | None):
            return value
        # The meaning of a date depends on where it is used: it stays text.
        return node.value

    def _node(self, node: Any, value: Any, children: Iterable[YamlNode], raw: str = "") -> YamlNode:
        location = SourceLocation(self._path, node.start_mark.line + 1)
        height = 1 + max((child.height for child in children), default=0)
        return YamlNode(value, location, node.start_mark.column + 1, raw, height)

    def _error(self, node: Any, message: str, advice: str) -> RuleError:
        mark = node.start_mark
        return _error(self._path, mark.line + 1, mark.column + 1, message, advice)


class _PlainDataBuilder:
    """Builds the plain data of one node, and counts its values, aliases written out."""

    def __init__(self) -> None:
        self._count = 0

    def build(self, node: YamlNode) -> Any:
        """Return the value without locations. Raises RuleError when it is too large."""
        self._count += 1
        if self._count > _MAX_VALUES:
            raise error_at(
                node,
                f"this stands for more than {_MAX_VALUES:,} values",
                "write less into one check",
            )
        if isinstance(node.value, dict):
            return {name: self.build(inner) for name, inner in node.value.items()}
        if isinstance(node.value, list):
            return [self.build(inner) for inner in node.value]
        return node.value
