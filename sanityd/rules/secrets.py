"""`${NAME}` and `${NAME:-default}` in the values of sources and channels, from the environment. Never prints one."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}|\$\{")


class UnsetError(Exception):
    """The value needs variables that aren't set. Carries their names."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


class MalformedError(Exception):
    """The value has a `${` that is not closed or names nothing. Carries where it is in the value."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


def fill(text: str, environment: Mapping[str, str]) -> str:
    """The text with its references replaced. Raises UnsetError, or MalformedError."""
    unset: list[str] = []

    def value(found: re.Match[str]) -> str:
        name, has_default, default = found.groups()
        if name is None:
            raise MalformedError(found.start())
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
    """A place in a text, 1-based."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def texts(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], str]]:
    """All texts in a piece of plain data, each with its path."""
    if isinstance(value, str):
        return [(path, value)]
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [found for key, item in items for found in texts(item, (*path, key))]


def replaced(value: Any, path: tuple[str | int, ...], text: str) -> Any:
    """A copy of the data with the text at the path replaced."""
    if not path:
        return text
    head, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[head] = replaced(copy[head], tuple(rest), text)  # type: ignore[index]
    return copy
