"""`for_each: {schema: [a, b]}`: one rule as many, `{schema}` in its texts replaced. Pure."""

from collections.abc import Iterator
from typing import Any


def expand(raw: Any) -> Iterator[tuple[str, Any]]:
    """Yield for each rule what is added to its id (`[a]`, or nothing), and its data.

    An invalid `for_each` is returned as it is, for the model to refuse.
    """
    for_each = raw.get("for_each") if isinstance(raw, dict) else None
    if not isinstance(for_each, dict) or not _is_valid(for_each):
        yield "", raw
        return
    [(name, values)] = for_each.items()
    rest = {key: value for key, value in raw.items() if key != "for_each"}
    for value in dict.fromkeys(map(str, values)):
        yield f"[{value}]", _replaced(rest, "{" + str(name) + "}", value)


def _is_valid(for_each: dict[Any, Any]) -> bool:
    """Whether it is a mapping of one name to a list of words."""
    if len(for_each) != 1:
        return False
    [values] = for_each.values()
    return isinstance(values, list) and len(values) > 0 and all(map(_is_word, values))


def _is_word(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _replaced(data: Any, word: str, value: str) -> Any:
    match data:
        case str():
            return data.replace(word, value)
        case dict():
            return {
                _replaced(key, word, value): _replaced(inner, word, value)
                for key, inner in data.items()
            }
        case list():
            return [_replaced(inner, word, value) for inner in data]
        case _:
            return data
