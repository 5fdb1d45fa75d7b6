"""A model's refusal → problems at their places, in words for people who write rules."""

from collections.abc import Collection, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sanityd.errors import Problem
from sanityd.problems import suggest
from sanityd.rulefile import Document
from sanityd.rules.spec import NOT_YET

Path = tuple[str | int, ...]

_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "`true` or `false`",
    "list_type": "a list, as in `[a, b]`",
    "dict_type": "a mapping, as in `{column: …}`",
    "mapping_type": "a mapping, as in `{column: …}`",
    "model_type": "a mapping, as in `{key: value}`",
    "model_attributes_type": "a mapping, as in `{key: value}`",
    "is_instance_of": "something else",
}


def problems(
    document: Document, path: Path, error: ValidationError, known: Collection[str], where: str
) -> list[Problem]:
    """Every mistake that a model found in the data at `path`, once per place.

    Parameters: `known` are the keys that may stand there; `where` says which mapping it is (`rule `a-b``).
    """
    found: dict[tuple[int, int], Problem] = {}
    for details in error.errors(include_url=False):
        problem = _problem(document, path, details, known, where)
        # A value that fits none of several types is refused once for each of them.
        found.setdefault((problem.line, problem.column), problem)
    return list(found.values())


def _problem(document: Document, path: Path, details: ErrorDetails, known: Collection[str], where: str) -> Problem:
    place = (*path, *details["loc"])
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    name = str(place[-1])
    match kind:
        case "sanityd":
            return document.problem(place, context["message"], context["advice"], word=context.get("word"))
        case "extra_forbidden":
            return unknown_key(document, place, known, where)
        case "missing":
            return document.problem(place[:-1], f"{where} says no `{name}`", f"add `{name}:`", key=True)
        case "literal_error":
            return document.problem(place, f"`{value}` is not possible here", f"write {context['expected']}")
        case "too_short" | "string_too_short":
            return document.problem(place, f"`{_last_key(details['loc'], name)}` is empty", "write at least one")
        case _:
            wanted = _TYPES.get(kind)
            message = f"`{_last_key(details['loc'], name)}` can't be {_what(value)}"
            return document.problem(place, message, f"write {wanted}" if wanted else str(details["msg"]))


def unknown_key(document: Document, place: Path, known: Collection[str], where: str) -> Problem:
    """A key that may not stand there: of a later version, misspelt, or just wrong."""
    name = str(place[-1])
    if name in NOT_YET:
        return document.problem(
            place, f"`{name}` ({NOT_YET[name]}) is not in this version of sanityd", "take it out for now", key=True
        )
    advice = suggest(name, known) or f"known here: {', '.join(sorted(known))}"
    return document.problem(place, f"unknown key `{name}` in {where}", advice, key=True)


def _last_key(location: Sequence[str | int], otherwise: str) -> str:
    return next((part for part in reversed(location) if isinstance(part, str)), otherwise)


def _what(value: Any) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return f"`{str(value).lower()}`"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case _:
            return f"`{value}`"
