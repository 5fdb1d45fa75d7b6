"""A model's refusal → problems at their places, in words for people who write rules."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sanityd.errors import Problem
from sanityd.model.did_you_mean import did_you_mean
from sanityd.rules import misplaced_keys
from sanityd.rules.spec import NOT_YET
from sanityd.rules.yaml.rules_document import Document

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
}
#: Bounds of numbers: the word of pydantic's error, and the key of its context.
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}
#: How many known keys are listed.
_MOST = 12


def problems(
    document: Document,
    path: Path,
    error: ValidationError,
    model: type[BaseModel],
    where: str,
    besides: Collection[str] = (),
    incomplete: bool = False,
) -> list[Problem]:
    """Every mistake that a model found in the data at `path`, once per place.

    Parameters: `model` is what refused it; `where` says which mapping it is (`rule `a-b``); `besides` are keys that may
    stand there, too; of `incomplete` data, in which not all values are known, only keys and types are judged.
    """
    found: dict[tuple[int, int], Problem] = {}
    for details in error.errors(include_url=False):
        if incomplete and details["type"] == "sanityd":
            continue
        for problem in _problems(document, path, details, model, where, besides):
            # A value that fits none of several types is refused once for each of them.
            found.setdefault((problem.line, problem.column), problem)
    return list(found.values())


def _problems(
    document: Document,
    path: Path,
    details: ErrorDetails,
    model: type[BaseModel],
    where: str,
    besides: Collection[str],
) -> Iterator[Problem]:
    location = details["loc"]
    place = (*path, *location)
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    name = _name(document, path, location)
    match kind:
        case "sanityd":
            for one in context.get("several", [context]):
                yield document.problem(place, one["message"], one["advice"], word=one.get("word"))
        case "extra_forbidden":
            inner = _model_at(model, location[:-1])
            known = [*keys_of(inner or model), *(besides if len(location) == 1 else ())]
            whose = where if len(location) == 1 else f"`{location[-2]}` of {where}"
            yield unknown_key(document, place, known, whose)
        case "missing":
            yield _missing(document, place, model, where)
        case "literal_error":
            yield document.problem(
                place, f"{_what(value)} is not possible here", _one_of(context["expected"], value)
            )
        case "too_short" | "string_too_short":
            yield document.problem(place, f"`{name}` is empty", "write at least one")
        case _ if kind in _BOUNDS:
            key, words = _BOUNDS[kind]
            yield document.problem(
                place, f"`{name}` can't be {_what(value)}", f"write {words} {context[key]}"
            )
        case _:
            wanted = _truth(value) if kind == "bool_type" else _TYPES.get(kind)
            advice = _example(model, location) or (
                f"write {wanted}" if wanted else str(details["msg"])
            )
            yield document.problem(place, f"`{name}` can't be {_what(value)}", advice)


def empty_keys(
    document: Document, place: Path, raw: Mapping[str, Any], known: Collection[str]
) -> Iterator[Problem]:
    """Keys without a value: what was to stand there is often in the wrong column."""
    for key, value in raw.items():
        if value is None and key in known and key not in misplaced_keys.checks():
            yield document.problem(
                (*place, key), f"`{key}` is empty", "write its value, or take it out", key=True
            )


def unknown_key(document: Document, place: Path, known: Sequence[str], where: str) -> Problem:
    """A key that may not stand there: of a later version, of another place, misspelt, or just wrong."""
    name = str(place[-1])
    if name in NOT_YET:
        return document.problem(
            place,
            f"`{name}` ({NOT_YET[name]}) is not in this version of sanityd",
            "take it out for now",
            key=True,
        )
    if (home := misplaced_keys.home(place, known)) is not None:
        whose = f"`{place[2]}`" if place[0] == "rules" and len(place) > 3 else where
        return document.problem(
            place, f"`{name}` {home.what}, not of {whose}", home.advice, key=True
        )
    advice = (
        misplaced_keys.meant(name, known) or did_you_mean(name, known) or _known_here(name, known)
    )
    return document.problem(place, f"unknown key `{name}` in {where}", advice, key=True)


def without_unknown(raw: Any, error: ValidationError) -> Any:
    """The data without the keys that the model doesn't know."""
    for details in error.errors(include_url=False):
        if details["type"] == "extra_forbidden" and isinstance(raw, dict):
            raw = _without(raw, details["loc"])
    return raw


def _without(raw: Any, location: Sequence[str | int]) -> Any:
    head, *rest = location
    if not isinstance(raw, dict) or head not in raw:
        return raw
    return {
        key: _without(value, rest) if key == head else value
        for key, value in raw.items()
        if key != head or rest
    }


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys that a model takes, as people write them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def example(model: type[BaseModel], kind: str) -> str:
    """How a check is written, by the first example in its manual: `unique: email`."""
    found = re.findall(rf"^ *({kind}: .+)$", model.__doc__ or "", re.MULTILINE)
    return (
        f"write it as in `{min(found, key=len)}`; `sanityd kinds {kind}` shows more"
        if found
        else ""
    )


def _missing(document: Document, place: Path, model: type[BaseModel], where: str) -> Problem:
    name = str(place[-1])
    field = model.model_fields.get(name) or next(
        (f for f in model.model_fields.values() if f.alias == name), None
    )
    # The first clause says what it is; the rest is for those who want to know more.
    words = (field.description if field is not None and field.description else "").partition(";")[0]
    advice = f"add `{name}:`" + (f": {words[0].lower()}{words[1:].rstrip('.')}" if words else "")
    return document.problem(place[:-1], f"{where} says no `{name}`", advice, key=True)


def _example(model: type[BaseModel], location: Path) -> str:
    """For an option that is the whole check, how it is written; else nothing."""
    kind, short = getattr(model, "kind", None), getattr(model, "short", None)
    whole = not location or (len(location) == 1 and location[0] == short)
    return example(model, str(kind)) if kind and whole else ""


def _name(document: Document, path: Path, location: Path) -> str:
    """The last key on the way that stands in the file: a short form leaves some out."""
    return next(
        (part for part in reversed(document.known((*path, *location))) if isinstance(part, str)),
        "it",
    )


def _model_at(model: type[BaseModel], location: Sequence[str | int]) -> type[BaseModel] | None:
    """The model of a mapping inside, which knows other keys."""
    inner: type[BaseModel] | None = model
    for part in location:
        fields = inner.model_fields if inner else {}
        field = fields.get(str(part)) or next(
            (one for one in fields.values() if one.alias == part), None
        )
        # A name that is no field is a column or a place in a list, of the same model.
        inner = _models_in(field.annotation) if field is not None else inner
    return inner


def _models_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _models_in(part))), None)


def _truth(value: Any) -> str:
    """`yes` is a word here, as in YAML 1.2."""
    words = {"yes": "`true`", "on": "`true`", "no": "`false`", "off": "`false`"}
    return words.get(str(value).lower(), _TYPES["bool_type"])


def _one_of(expected: str, value: Any) -> str:
    words = re.findall(r"'([^']*)'", expected)
    # All words are told, so that a guess need not be a bold one.
    near = did_you_mean(value, words, likeness=0.75) if isinstance(value, str) else ""
    return near or "write " + expected.replace("'", "`")


def _known_here(name: str, known: Sequence[str]) -> str:
    checks = misplaced_keys.checks()
    if checks.isdisjoint(known):
        return f"known here: {_listed(known)}"
    if name in ("check", "checks", "kind", "type", "test", "tests"):
        return "a check is a key itself, as in `unique: email`; `sanityd kinds` lists all"
    return f"known here: {_listed([key for key in known if key not in checks])}, and the checks (`sanityd kinds`)"


def _listed(known: Sequence[str]) -> str:
    shown = ", ".join(known[:_MOST])
    return shown if len(known) <= _MOST else f"{shown} and {len(known) - _MOST} more"


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
