"""Convert a model of options to the JSON Schema of what rules files may hold.

The schema has short forms and durations in words, and no references. It uses only what draft-07
and later drafts share, as editors support different ones. It is never stricter than the model.
"""

import inspect
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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
#: Keywords that editors don't need, or that mean something else to them.
_DROPPED = {"title", "format", "writeOnly", "$defs"}
#: Keywords with data as value instead of a schema.
DATA = ("examples", "default", "enum", "defaultSnippets")
#: Keywords whose values map names to schemas.
_SCHEMAS_BY_NAME = ("properties", "patternProperties")
NULL: Schema = {"type": "null"}


class _Writer(GenerateJsonSchema):
    def encode_default(self, dft: Any) -> Any:
        """Return a default as rules files write it; None where they can't."""
        return as_written(dft)

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        """Keep the order of the model and its examples."""
        del parent_key
        return value

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        """Return a schema that accepts anything for a type that JSON doesn't have."""
        del schema, error_info
        return {}

    def function_before_schema(self, schema: Any) -> JsonSchemaValue:
        """Accept anything where a validator doesn't declare its input."""
        inner: Any = schema
        while inner["type"].startswith("function-") and "schema" in inner:
            inner = inner["schema"]
        # A model declares its own short forms, in `__get_pydantic_json_schema__`.
        is_model = inner["type"] in ("model", "model-fields")
        if is_model or "json_schema_input_schema" in schema:
            return super().function_before_schema(schema)
        return {}


def schema_of(model: type[BaseModel]) -> Schema:
    """Return the schema of a mapping of this model, with the names that rules files use."""
    whole = model.model_json_schema(schema_generator=_Writer)
    schema = _resolved(whole, whole.get("$defs", {}))
    assert isinstance(schema, dict)
    return schema


def as_written(value: Any) -> Any:
    """Return a default as a rules file writes it; None where it can't be written."""
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
    """Return the values of the lines `kind: …` in the model's manual.

    Lines with the kind below a name are included: `team-mail: {email: …}`.
    """
    values: list[Any] = []
    for line in (inspect.getdoc(model) or "").splitlines():
        values += _parsed_example(line, model.kind)
    return values


def with_examples(schema: Schema, values: list[Any], short: str | None = None) -> Schema:
    """Return the schema with these examples, also of its options, unless they have examples.

    Parameters: `short` is the option that a value in the short form stands for.
    """
    for form in [schema, *schema.get("anyOf", ())]:
        options = form.get("properties", {})
        mappings = [_long_form(value, options.keys(), short) for value in values]
        for name, option in options.items():
            option_values = [mapping[name] for mapping in mappings if name in mapping]
            if option_values and "examples" not in option:
                option["examples"] = _distinct(option_values)
    return {**schema, "examples": _distinct(values)}


def _long_form(value: Any, names: Collection[str], short: str | None) -> dict[Any, Any]:
    """Return an example as a mapping of options."""
    if isinstance(value, dict) and any(name in value for name in names):
        return value
    return {short: value}


def with_snippets(schema: Schema) -> Schema:
    """Return the schema with examples that are mappings as snippets.

    Editors show the label of a snippet, but `[object Object]` for an example that is a mapping.
    """
    snippets = []
    other_examples = []
    for value in schema.get("examples", ()):
        if isinstance(value, dict):
            snippets.append({"label": _on_one_line(value), "body": _snippet_body(value)})
        else:
            other_examples.append(value)
    if not snippets:
        return schema
    return {**schema, "defaultSnippets": snippets, "examples": other_examples}


def nullable(schema: Schema) -> Schema:
    """Return the schema, which accepts null as well."""
    if "enum" in schema:
        others = {key: value for key, value in schema.items() if key not in ("enum", "type")}
        return {**others, "anyOf": [{"enum": schema["enum"]}, NULL]}
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], NULL]}
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    return schema


def widened(schema: Any, mark: str, *, keys: bool = False) -> Any:
    """Return the schema, which also accepts texts with a placeholder.

    Parameters: `mark` is the regular expression of the placeholder; `keys` is whether keys may
    hold it, too.
    """
    if isinstance(schema, list):
        return [widened(item, mark, keys=keys) for item in schema]
    if not isinstance(schema, dict):
        return schema
    wide: Schema = {}
    for key, value in schema.items():
        if key in (*DATA, "not"):
            wide[key] = value
        elif key in _SCHEMAS_BY_NAME:
            wide[key] = {name: widened(item, mark, keys=keys) for name, item in value.items()}
        else:
            wide[key] = widened(value, mark, keys=keys)
    _add_placeholder(wide, mark, keys=keys)
    if "anyOf" in wide:
        wide["anyOf"] = _flattened(wide["anyOf"])
    return wide


def _add_placeholder(schema: Schema, mark: str, *, keys: bool) -> None:
    """Let one level of a schema accept the placeholder."""
    if "pattern" in schema:
        schema["pattern"] = f"{schema['pattern']}|{mark}"
    if keys and schema.get("additionalProperties") is False:
        schema["patternProperties"] = {**schema.get("patternProperties", {}), mark: {}}
    if any(isinstance(word, str) for word in schema.get("enum", ())):
        schema.pop("type", None)
        schema["anyOf"] = [{"enum": schema.pop("enum")}, {"type": "string", "pattern": mark}]


def _flattened(forms: Sequence[Any]) -> list[Any]:
    """Return the forms of an `anyOf` with the forms of those that hold nothing but an `anyOf`.

    Editors explain one list of forms better than lists in a list.
    """
    flat = []
    for form in forms:
        if form.keys() == {"anyOf"}:
            flat += form["anyOf"]
        else:
            flat.append(form)
    return flat


def _resolved(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Return the schema without references and without keywords that editors don't need."""
    if isinstance(schema, list):
        return [_resolved(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        schema, definitions = _dereferenced(schema, definitions)
    resolved: Schema = {}
    for key, value in schema.items():
        if key in _SCHEMAS_BY_NAME:
            resolved[key] = _resolved_values(value, definitions)
        elif key in DATA:
            resolved[key] = value
        elif key not in _DROPPED:
            resolved[key] = _resolved(value, definitions)
    if "default" in resolved and resolved["default"] in (None, [], {}, ""):
        del resolved["default"]
    return _without_null(resolved)


def _dereferenced(schema: Schema, definitions: Mapping[str, Any]) -> tuple[Schema, dict[str, Any]]:
    """Return the definition that a schema refers to, and the definitions without it.

    Keywords beside the reference override those of the definition. A definition that refers to
    itself accepts anything there.
    """
    own_keywords = {key: value for key, value in schema.items() if key != "$ref"}
    name = schema["$ref"].removeprefix(_REFERENCE)
    others = {other: item for other, item in definitions.items() if other != name}
    return {**definitions.get(name, {}), **own_keywords}, others


def _resolved_values(schemas: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _resolved(schema, definitions) for name, schema in schemas.items()}


def _without_null(schema: Schema) -> Schema:
    """Return `anyOf: [X, null]` as X that may be null, which editors show better."""
    forms = [form for form in schema.get("anyOf", ()) if form != NULL]
    if len(forms) != 1 or len(schema["anyOf"]) != 2:
        return schema
    others = {key: value for key, value in schema.items() if key != "anyOf"}
    return nullable({**forms[0], **others})


def _parsed_example(line: str, kind: str) -> Iterator[Any]:
    """Yield the value of a line `kind: value`; nothing for other lines."""
    if not re.match(rf"\s*(?:[a-z0-9-]+: (?=\{{{kind}:)|{kind}:)", line):
        return
    with suppress(RuleError):
        yield from rules_document.parse_text(line.strip(), Path("manual")).data.values()


def _on_one_line(value: Any) -> str:
    match value:
        case dict():
            items = [f"{key}: {_on_one_line(item)}" for key, item in value.items()]
            return "{" + ", ".join(items) + "}"
        case list():
            return "[" + ", ".join(map(_on_one_line, value)) + "]"
        case str():
            return _scalar(value)
        case _:
            return json.dumps(value)


def _snippet_body(value: Any) -> Any:
    """Return the value as the text of a snippet, in which `$` begins a field to fill in."""
    match value:
        case dict():
            return {key: _snippet_body(item) for key, item in value.items()}
        case list():
            return [_snippet_body(item) for item in value]
        case str():
            return _scalar(value).replace("$", "\\$")
        case _:
            return value


def _scalar(text: str) -> str:
    """Return the text as YAML, in quotes where it would mean something else without."""
    is_plain = re.fullmatch(r"[A-Za-z_./][\w./ ()=<>+*-]*", text)
    if is_plain and text.lower() not in ("true", "false", "null"):
        return text
    return json.dumps(text, ensure_ascii=False)


def _distinct(values: Iterable[Any]) -> list[Any]:
    """Return the values without duplicates. They need not be hashable."""
    distinct: list[Any] = []
    for value in values:
        if value not in distinct:
            distinct.append(value)
    return distinct
