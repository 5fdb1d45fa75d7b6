"""Reading values out of plain data (dictionaries, lists, scalars) of another tool's file."""

import math
from collections.abc import Mapping
from typing import Any

from sanityd.authoring.migrate.import_result import UnsupportedCheck

Number = int | float


def read_number(text: str | Number) -> Number:
    """Return a number, as an integer where it is whole.

    Raises UnsupportedCheck when the text is not a number.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        return text
    try:
        value = float(str(text))
    except ValueError:
        raise UnsupportedCheck(f"`{text}` is no number") from None
    if math.isfinite(value) and value.is_integer():
        return int(value)
    return value


def read_optional_number(text: str | Number | None) -> Number | None:
    """Return a number, or None for None. Raises UnsupportedCheck when it is not a number."""
    if text is None:
        return None
    return read_number(text)


def read_mapping(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the mapping below a key, empty where there is none.

    Raises UnsupportedCheck when the value is something else.
    """
    value = data.get(name)
    if value is not None and not isinstance(value, dict):
        raise UnsupportedCheck(f"`{name}` is no mapping")
    return value or {}


def read_text(data: Mapping[str, Any], name: str) -> str | None:
    """Return the value below a key as text; None where it is missing or empty."""
    value = data.get(name)
    if not value:
        return None
    return str(value)


def is_value_list(value: Any) -> bool:
    """Tell whether a value is a list of scalars without null."""
    if not isinstance(value, list):
        return False
    return all(item is not None and not isinstance(item, list | dict) for item in value)


def single_or_list(names: list[str]) -> str | list[str]:
    """Return the only name, or the list when there are several: both are options of a rule."""
    if len(names) == 1:
        return names[0]
    return names


def one_line(text: str) -> str:
    """Return a text with each run of blanks and line breaks replaced by one blank."""
    return " ".join(text.split())
