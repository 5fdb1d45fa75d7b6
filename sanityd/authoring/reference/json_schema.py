"""A model of options → the JSON Schema of what people write: both forms, words for lengths of time,
no references.

Draft-07 with nothing that later drafts changed, as editors speak different ones. Never stricter
than the model.
"""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import time, timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from sanityd.errors import RuleError
from sanityd.model.durations import format_duration
from sanityd.rules.yaml import rules_document

Schema = dict[str, Any]
_REFERENCE = "#/$defs/"
#: What says nothing to an editor, or something else than it says to a program that fills in a form.
_DROPPED = {"title", "format", "writeOnly", "$defs"}
#: Whose values are data and no schemas.
DATA = ("examples", "default", "enum", "defaultSnippets")
NULL: Schema = {"type": "null"}


class _Writer(GenerateJsonSchema):
    def encode_default(self, dft: Any) -> Any:
        """As people write it; None where that can't be said."""
        return as_written(dft)

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        """As the model and its examples say it, not by the alphabet."""
        del parent_key
        return value

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        """Of a type that JSON doesn't know nothing is said, and so nothing that is wrong."""
        del schema, error_info
        return {}

    def function_before_schema(self, schema: Any) -> JsonSchemaValue:
        """A validator that doesn't say what it takes may take anything."""
        inner: Any = schema
        while inner["type"].startswith("function-") and "schema" in inner:
            inner = inner["schema"]
        # A model tells of its own short forms, in `__get_pydantic_json_schema__`.
        told = "json_schema_input_schema" in schema or inner["type"] in ("model", "model-fields")
        return super().function_before_schema(schema) if told else {}


def schema_of(model: type[BaseModel]) -> Schema:
    """What a mapping of this model may hold, by the names that people write."""
    whole = model.model_json_schema(schema_generator=_Writer)
    plain = _plain(whole, whole.get("$defs", {}))
    assert isinstance(plain, dict)
    return plain


def as_written(value: Any) -> Any:
    """A default in the words of a rules file; None for one that has none."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case timedelta():
            return format_duration(value).replace(" ", "").replace("min", "m")
        case time():
            return f"{value:%H:%M}"
        case BaseModel():
            return None
        case list() | tuple():
            return [as_written(item) for item in value]
        case dict():
            return {key: as_written(item) for key, item in value.items()}
        case _:
            return str(value)


def examples(model: type[Any]) -> list[Any]:
    """What the lines `kind: …` in the model's manual say, also those below a name (`team-mail:
    {email: …}`)."""
    return [
        found
        for line in (inspect.getdoc(model) or "").splitlines()
        for found in _read(line, model.kind)
    ]


def with_examples(schema: Schema, found: list[Any], short: str | None = None) -> Schema:
    """The schema with these examples, and its options with theirs, where they have none of their
    own.

    Parameters: `short` is the option that an example in the short form says.
    """
    for form in [schema, *schema.get("anyOf", ())]:
        names = form.get("properties", {}).keys()
        long = [
            one if isinstance(one, dict) and names & one.keys() else {short: one} for one in found
        ]
        for name, option in form.get("properties", {}).items():
            shown = _distinct(one[name] for one in long if name in one)
            if shown and "examples" not in option:
                option["examples"] = shown
    return {**schema, "examples": _distinct(found)}


def with_snippets(schema: Schema) -> Schema:
    """Examples that are mappings as snippets besides: editors call those by their labels, and not
    `[object Object]`."""
    mappings = [one for one in schema.get("examples", ()) if isinstance(one, dict)]
    if not mappings:
        return schema
    snippets = [{"label": _in_a_line(one), "body": _body(one)} for one in mappings]
    return {
        **schema,
        "defaultSnippets": snippets,
        "examples": [one for one in schema["examples"] if one not in mappings],
    }


def nullable(schema: Schema) -> Schema:
    """The same, or nothing."""
    if "enum" in schema:
        rest = {key: value for key, value in schema.items() if key not in ("enum", "type")}
        return {**rest, "anyOf": [{"enum": schema["enum"]}, NULL]}
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], NULL]}
    return (
        {**schema, "type": [schema["type"], "null"]}
        if isinstance(schema.get("type"), str)
        else schema
    )


def widened(schema: Any, mark: str, *, keys: bool = False) -> Any:
    """The schema, whose texts may also hold what matches `mark`, which is filled in later; maybe
    its keys, too."""
    if isinstance(schema, list):
        return [widened(one, mark, keys=keys) for one in schema]
    if not isinstance(schema, dict):
        return schema
    wide = {
        key: value if key in (*DATA, "not") else _widened_below(key, value, mark, keys=keys)
        for key, value in schema.items()
    }
    if "pattern" in wide:
        wide["pattern"] = f"{wide['pattern']}|{mark}"
    if keys and wide.get("additionalProperties") is False:
        wide["patternProperties"] = {**wide.get("patternProperties", {}), mark: {}}
    if any(isinstance(word, str) for word in wide.get("enum", ())):
        wide.pop("type", None)
        wide["anyOf"] = [{"enum": wide.pop("enum")}, {"type": "string", "pattern": mark}]
    if "anyOf" in wide:
        # Editors tell better of one list of forms than of lists in a list.
        wide["anyOf"] = [
            below
            for one in wide["anyOf"]
            for below in (one["anyOf"] if one.keys() == {"anyOf"} else [one])
        ]
    return wide


def _widened_below(key: str, value: Any, mark: str, *, keys: bool) -> Any:
    if key in ("properties", "patternProperties"):
        return {name: widened(one, mark, keys=keys) for name, one in value.items()}
    return widened(value, mark, keys=keys)


def _plain(schema: Any, known: Mapping[str, Any]) -> Any:
    """Without references and without what an editor doesn't need."""
    if isinstance(schema, list):
        return [_plain(one, known) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        # What is said beside a reference is said of this place. What holds its like may hold
        # anything.
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        name = schema["$ref"].removeprefix(_REFERENCE)
        schema = {**known.get(name, {}), **beside}
        known = {other: one for other, one in known.items() if other != name}
    plain: Schema = {}
    for key, value in schema.items():
        if key in ("properties", "patternProperties"):
            plain[key] = {name: _plain(one, known) for name, one in value.items()}
        elif key in DATA:
            plain[key] = value
        elif key not in _DROPPED:
            plain[key] = _plain(value, known)
    if plain.get("default", ...) in (None, [], {}, ""):
        del plain["default"]
    return _without_null(plain)


def _without_null(schema: Schema) -> Schema:
    """`anyOf: [X, null]` in fewer words, which editors show better."""
    forms = [one for one in schema.get("anyOf", ()) if one != NULL]
    if len(forms) != 1 or len(schema["anyOf"]) != 2:
        return schema
    beside = {key: value for key, value in schema.items() if key != "anyOf"}
    return nullable({**forms[0], **beside})


def _read(line: str, kind: str) -> Iterator[Any]:
    found = re.match(rf"\s*(?:[a-z0-9-]+: (?=\{{{kind}:)|{kind}:)", line)
    if found is None:
        return
    with suppress(RuleError):
        yield from rules_document.parse_text(line.strip(), Path("manual")).data.values()


def _in_a_line(value: Any) -> str:
    match value:
        case dict():
            return (
                "{" + ", ".join(f"{key}: {_in_a_line(item)}" for key, item in value.items()) + "}"
            )
        case list():
            return "[" + ", ".join(map(_in_a_line, value)) + "]"
        case _:
            return str(_scalar(value)) if isinstance(value, str) else json.dumps(value)


def _body(value: Any) -> Any:
    """The value as the text of a snippet, in which `$` begins a field to be filled in."""
    match value:
        case dict():
            return {key: _body(item) for key, item in value.items()}
        case list():
            return [_body(item) for item in value]
        case _:
            return _scalar(value).replace("$", "\\$") if isinstance(value, str) else value


def _scalar(text: str) -> str:
    """The text as YAML, in quotes where a plain one would mean something else."""
    plain = re.fullmatch(r"[A-Za-z_./][\w./ ()=<>+*-]*", text) and text.lower() not in (
        "true",
        "false",
        "null",
    )
    return text if plain else json.dumps(text, ensure_ascii=False)


def _distinct(found: Any) -> list[Any]:
    shown: list[Any] = []
    for one in found:
        if one not in shown:
            shown.append(one)
    return shown
