"""`for_each: {schema: [a, b]}`: one rule as many, `{schema}` in its texts replaced by each value. Pure."""

from collections.abc import Iterator
from typing import Any


def expand(raw: Any) -> Iterator[tuple[str, Any]]:
    """What each rule adds to the id (`[a]`, or nothing), and its data.

    What isn't a mapping of one name to a list is given back as it is, for the model to refuse.
    """
    each = raw.get("for_each") if isinstance(raw, dict) else None
    if (
        not isinstance(each, dict)
        or len(each) != 1
        or not all(
            isinstance(values, list) and values and all(map(_is_word, values))
            for values in each.values()
        )
    ):
        yield "", raw
        return
    [(name, values)] = each.items()
    rest = {key: value for key, value in raw.items() if key != "for_each"}
    for value in dict.fromkeys(map(str, values)):
        yield f"[{value}]", _replaced(rest, "{" + str(name) + "}", value)


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
