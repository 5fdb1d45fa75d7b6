"""A model's validation error → problems at their places, in words for people who write rules."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from sanityd.errors import Problem
from sanityd.model.did_you_mean import did_you_mean
from sanityd.rules import misplaced_keys
from sanityd.rules.spec import NOT_YET
from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document

#: Pydantic's word for a key that the model does not have.
UNKNOWN_KEY = "extra_forbidden"
#: Our own errors, which carry their message and advice.
_OWN = "sanityd"
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
#: Words for `true` and `false` that are text here, as in YAML 1.2.
_YAML_1_1_BOOLEANS = {"yes": "`true`", "on": "`true`", "no": "`false`", "off": "`false`"}
#: Names that people give to the key of a check.
_CHECK_WORDS = ("check", "checks", "kind", "type", "test", "tests")
#: How many known keys are listed.
_LISTED_KEYS = 12


def problems(
    document: Document,
    path: KeyPath,
    error: ValidationError,
    model: type[BaseModel],
    where: str,
    other_keys: Collection[str] = (),
    incomplete: bool = False,
) -> list[Problem]:
    """Return the problems of the data at `path` that a model refused, at most one per place.

    Parameters: `where` says which mapping it is (`rule `a-b``); `other_keys` are keys that may
    stand there besides the model's; of `incomplete` data, in which not all values are known, only
    keys and types are judged.
    """
    translation = _Translation(document, path, model, where, other_keys)
    by_place: dict[tuple[int, int], Problem] = {}
    for details in error.errors(include_url=False):
        if incomplete and details["type"] == _OWN:
            continue
        for problem in translation.problems(details):
            # A value that fits none of several types is refused once for each of them.
            by_place.setdefault((problem.line, problem.column), problem)
    return list(by_place.values())


class _Translation:
    """Translates errors of one mapping. Parameters are those of `problems`."""

    def __init__(
        self,
        document: Document,
        path: KeyPath,
        model: type[BaseModel],
        where: str,
        other_keys: Collection[str],
    ) -> None:
        self._document = document
        self._path = path
        self._model = model
        self._where = where
        self._other_keys = other_keys

    def problems(self, details: ErrorDetails) -> Iterator[Problem]:
        """Yield the problems of one error: several for those that we collect ourselves."""
        error_type = details["type"]
        context = details.get("ctx", {})
        key_path = (*self._path, *details["loc"])
        if error_type == _OWN:
            for item in context.get("several", [context]):
                word = item.get("word")
                yield self._document.problem(key_path, item["message"], item["advice"], word=word)
        elif error_type == UNKNOWN_KEY:
            yield self._unknown_key(key_path, details["loc"])
        elif error_type == "missing":
            yield self._missing(key_path)
        else:
            yield self._bad_value(key_path, details, context)

    def _unknown_key(self, key_path: KeyPath, location: KeyPath) -> Problem:
        inner_model = _model_at(self._model, location[:-1]) or self._model
        known_keys = keys_of(inner_model)
        if len(location) == 1:
            known_keys += self._other_keys
            return unknown_key(self._document, key_path, known_keys, self._where)
        where = f"`{location[-2]}` of {self._where}"
        return unknown_key(self._document, key_path, known_keys, where)

    def _missing(self, key_path: KeyPath) -> Problem:
        name = str(key_path[-1])
        advice = f"add `{name}:`"
        field = _field_of(self._model, name)
        if field is not None and field.description:
            # The first clause says what it is; the rest is for those who want to know more.
            clause = field.description.partition(";")[0]
            advice += f": {clause[0].lower()}{clause[1:].rstrip('.')}"
        return self._document.problem(
            key_path[:-1], f"{self._where} has no `{name}`", advice, key=True
        )

    def _bad_value(
        self, key_path: KeyPath, details: ErrorDetails, context: Mapping[str, Any]
    ) -> Problem:
        error_type, value = details["type"], details["input"]
        name = _last_key(self._document, key_path)
        message = f"`{name}` can't be {_shown(value)}"
        if error_type == "literal_error":
            message = f"{_shown(value)} is not a valid value"
            advice = _choice_advice(context["expected"], value)
        elif error_type in ("too_short", "string_too_short"):
            message = f"`{name}` is empty"
            advice = "write at least one"
        elif error_type in _BOUNDS:
            bound, words = _BOUNDS[error_type]
            advice = f"write {words} {context[bound]}"
        else:
            advice = _whole_check_example(self._model, details["loc"])
            advice = advice or _type_advice(error_type, value) or str(details["msg"])
        return self._document.problem(key_path, message, advice)


def empty_keys(
    document: Document, path: KeyPath, raw: Mapping[str, Any], known_keys: Collection[str]
) -> Iterator[Problem]:
    """Yield the keys without a value: often the value stands in the wrong column."""
    for key, value in raw.items():
        if value is None and key in known_keys and key not in misplaced_keys.checks():
            advice = "write its value, or take it out"
            yield document.problem((*path, key), f"`{key}` is empty", advice, key=True)


def unknown_key(
    document: Document, key_path: KeyPath, known_keys: Sequence[str], where: str
) -> Problem:
    """Return the problem of a key that may not stand there.

    It is one of a later version, of another place, misspelt, or just wrong. Parameters:
    `known_keys` are those that may stand there; `where` says which mapping it is.
    """
    name = str(key_path[-1])
    if name in NOT_YET:
        message = f"`{name}` ({NOT_YET[name]}) is not in this version of sanityd"
        return document.problem(key_path, message, "take it out for now", key=True)
    key_home = misplaced_keys.home(key_path, known_keys)
    if key_home is not None:
        is_in_check = key_path[0] == "rules" and len(key_path) > 3
        owner = f"`{key_path[2]}`" if is_in_check else where
        message = f"`{name}` {key_home.what}, not of {owner}"
        return document.problem(key_path, message, key_home.advice, key=True)
    advice = (
        misplaced_keys.synonym_advice(name, known_keys)
        or did_you_mean(name, known_keys)
        or _known_keys_advice(name, known_keys)
    )
    return document.problem(key_path, f"unknown key `{name}` in {where}", advice, key=True)


def keys_of(model: type[BaseModel]) -> list[str]:
    """Return the keys that a model takes, as people write them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _whole_check_example(model: type[BaseModel], location: KeyPath) -> str:
    """Return how a check is written, for a value that is the whole check; else nothing.

    It is the shortest example in the manual of the check: `unique: email`.
    """
    kind = getattr(model, "kind", None)
    short_option = getattr(model, "short", None)
    is_whole_check = not location or (len(location) == 1 and location[0] == short_option)
    if not kind or not is_whole_check:
        return ""
    examples = re.findall(rf"^ *({kind}: .+)$", model.__doc__ or "", re.MULTILINE)
    if not examples:
        return ""
    return f"write it as in `{min(examples, key=len)}`; `sanityd kinds {kind}` shows more"


def _type_advice(error_type: str, value: Any) -> str:
    wanted_type = _TYPES.get(error_type, "")
    if error_type == "bool_type":
        wanted_type = _YAML_1_1_BOOLEANS.get(str(value).lower(), wanted_type)
    return f"write {wanted_type}" if wanted_type else ""


def _last_key(document: Document, key_path: KeyPath) -> str:
    """Return the last key of a path that stands in the file: a short form leaves some out."""
    for part in reversed(document.existing_path(key_path)):
        if isinstance(part, str):
            return part
    return "it"


def _field_of(model: type[BaseModel], key: str) -> FieldInfo | None:
    """Return the field of a model by its name, else by its alias."""
    if key in model.model_fields:
        return model.model_fields[key]
    for field in model.model_fields.values():
        if field.alias == key:
            return field
    return None


def _model_at(model: type[BaseModel], location: Sequence[str | int]) -> type[BaseModel] | None:
    """Return the model of a mapping inside, which has other keys."""
    inner_model: type[BaseModel] | None = model
    for part in location:
        if inner_model is None:
            return None
        field = _field_of(inner_model, str(part))
        # A name that is no field is a column or an index of a list, of the same model.
        if field is not None:
            inner_model = _model_in(field.annotation)
    return inner_model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the first model in a type annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in get_args(annotation):
        model = _model_in(part)
        if model is not None:
            return model
    return None


def _choice_advice(expected: str, value: Any) -> str:
    """Return which words are possible; `expected` is pydantic's list of them."""
    words = re.findall(r"'([^']*)'", expected)
    # The alternative lists all words, so only a near one is suggested alone.
    suggestion = did_you_mean(value, words, likeness=0.75) if isinstance(value, str) else ""
    return suggestion or "write " + expected.replace("'", "`")


def _known_keys_advice(name: str, known_keys: Sequence[str]) -> str:
    checks = misplaced_keys.checks()
    if checks.isdisjoint(known_keys):
        return f"known here: {_listed(known_keys)}"
    if name in _CHECK_WORDS:
        return "a check is a key itself, as in `unique: email`; `sanityd kinds` lists all"
    other_keys = [key for key in known_keys if key not in checks]
    return f"known here: {_listed(other_keys)}, and the checks (`sanityd kinds`)"


def _listed(keys: Sequence[str]) -> str:
    listed = ", ".join(keys[:_LISTED_KEYS])
    if len(keys) <= _LISTED_KEYS:
        return listed
    return f"{listed} and {len(keys) - _LISTED_KEYS} more"


def _shown(value: Any) -> str:
    """Return a value as a message shows it."""
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
