"""`${NAME}` and `${NAME:-default}` in the values of sources and channels, from the environment. Never prints one."""

import re
from collections.abc import Mapping
from typing import Any

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}|\$\{")


class UnsetError(Exception):
    """The value needs a variable that isn't set. Carries its name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class MalformedError(Exception):
    """The value has a `${` that is not closed or names nothing."""


def fill(text: str, environment: Mapping[str, str]) -> str:
    """The text with its references replaced. Raises UnsetError, or MalformedError."""

    def value(found: re.Match[str]) -> str:
        name, has_default, default = found.groups()
        if name is None:
            raise MalformedError
        if environment.get(name):
            return environment[name]
        if has_default:
            return str(default)
        raise UnsetError(name)

    return _REFERENCE.sub(value, text)


def texts(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], str]]:
    """All texts in a piece of plain data, each with its path."""
    if isinstance(value, str):
        return [(path, value)]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in items for found in texts(item, (*path, key))]


def replaced(value: Any, path: tuple[str | int, ...], text: str) -> Any:
    """A copy of the data with the text at the path replaced."""
    if not path:
        return text
    head, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[head] = replaced(copy[head], tuple(rest), text)  # type: ignore[index]
    return copy
