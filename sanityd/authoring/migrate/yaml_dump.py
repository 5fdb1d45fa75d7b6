"""Writing values as YAML that YAML 1.1 and 1.2 readers, and our own, understand in the same way."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import yaml

from sanityd.rules.yaml.reader import scalar

#: Longer lists and mappings are written on several lines.
_MAX_WIDTH = 100
#: Characters besides the line feed that YAML takes for the end of a line.
_LINE_ENDS = re.compile("[\r\x85\u2028\u2029]")


class _Dumper(yaml.SafeDumper):
    """Quotes text that YAML 1.1 or 1.2 would read as a number or a keyword."""

    def ignore_aliases(self, data: Any) -> bool:
        """Return True: our files have no aliases."""
        return True


def _represent_text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style: str | None = None
    if _LINE_ENDS.search(value):
        style = '"'
    elif "\n" in value:
        style = "|"
    elif scalar(value) != value:
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _represent_text)
_OPTIONS: dict[str, Any] = {
    "Dumper": _Dumper,
    "sort_keys": False,
    "allow_unicode": True,
    "width": 10**9,
}


def dump_block(data: Any) -> str:
    """Return a document with each key on its own line."""
    text: str = yaml.dump(data, default_flow_style=False, **_OPTIONS)
    return text


def dump_pairs(data: dict[str, Any], indent: str) -> Iterator[str]:
    """Return the lines of a mapping, one for each key.

    A long list or mapping, and text of several lines, is written below its key.
    """
    for key, value in data.items():
        flow = dump_flow(value)
        if _fits_on_one_line(value, flow):
            yield f"{indent}{dump_flow(key)}: {flow}"
            continue
        for line in dump_block({key: value}).splitlines():
            yield f"{indent}{line}" if line else ""


def dump_flow(value: Any) -> str:
    """Return a value on one line, quoted where a reader would take it for something else."""
    if isinstance(value, str):
        return _dump_text(value)
    return _dump_flow(value)


@lru_cache(maxsize=10_000)
def _dump_text(text: str) -> str:
    """Return a text on one line; cached, because the same words occur in many rules."""
    return _dump_flow(text)


def _dump_flow(value: Any) -> str:
    text: str = yaml.dump(value, default_flow_style=True, **_OPTIONS)
    return text.removesuffix("\n").removesuffix("\n...")


def _fits_on_one_line(value: Any, flow: str) -> bool:
    if "\n" in flow or _has_line_breaks(value):
        return False
    return len(flow) <= _MAX_WIDTH or not isinstance(value, dict | list)


def _has_line_breaks(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_line_breaks(inner) for inner in value.values())
    if isinstance(value, list):
        return any(_has_line_breaks(item) for item in value)
    return isinstance(value, str) and "\n" in value
