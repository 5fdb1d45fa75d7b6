"""`${NAME}` and `${NAME:-default}` in values of sources and channels, from the environment.

No value of a variable is ever printed.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}|\$\{")


class UnsetError(Exception):
    """Raised for a value that needs variables which aren't set. Has their `names`."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


class MalformedError(Exception):
    """Raised for a `${` that is not closed or names nothing. Has its `offset` in the value."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


def fill(text: str, environment: Mapping[str, str]) -> str:
    """Return the text with its references replaced. Raises UnsetError, or MalformedError."""
    unset: list[str] = []

    def value(reference: re.Match[str]) -> str:
        name, has_default, default = reference.groups()
        if name is None:
            raise MalformedError(reference.start())
        if environment.get(name):
            return environment[name]
        if not has_default:
            unset.append(name)
        return str(default)

    filled = _REFERENCE.sub(value, text)
    if unset:
        raise UnsetError(list(dict.fromkeys(unset)))
    return filled


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Return the line and column of an offset in a text, 1-based."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def texts(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], str]]:
    """Return all texts in a piece of plain data, each with its path."""
    if isinstance(value, str):
        return [(path, value)]
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    inner_texts = []
    for key, item in items:
        inner_texts += texts(item, (*path, key))
    return inner_texts


def replaced(value: Any, path: tuple[str | int, ...], text: str) -> Any:
    """Return a copy of the data with the text at the path replaced."""
    if not path:
        return text
    head, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[head] = replaced(copy[head], tuple(rest), text)  # type: ignore[index]
    return copy
