"""The JSON Schema of a rules file, for editors (see `sanityd schema` and `sanityd init`).

It is made from the models that read the file, and from the manuals of kinds and channels. It checks
the form only: `sanityd lint --connect` checks whether a table exists.
"""

import json
import re
from pathlib import Path
from typing import Any

from sanityd import plugins
from sanityd.alerts.settings import Settings
from sanityd.authoring.reference import manual
from sanityd.authoring.reference.json_schema import (
    DATA,
    Schema,
    examples,
    nullable,
    schema_of,
    widened,
    with_examples,
    with_snippets,
)
from sanityd.authoring.ruletests.collect import rule_tests
from sanityd.errors import RuleError
from sanityd.rules.connections import NAME
from sanityd.rules.load import ID
from sanityd.rules.misplaced_keys import SECTIONS
from sanityd.rules.spec import AllowSpec, Defaults, RuleSpec, SourceSpec
from sanityd.rules.yaml import rules_document

#: The file that `init` writes beside the rules file.
FILE = "sanityd.schema.json"
#: The first line of a rules file, by which editors find the schema.
MODELINE = f"# yaml-language-server: $schema=./{FILE}\n"
#: Regular expressions of a secret to fill in, and of a value of `for_each`.
_SECRET, _EACH = r"\$\{", r"\{.+\}"


def schema_text() -> str:
    """Return the schema as text for a file."""
    return json.dumps(rules_file(), indent=1, ensure_ascii=False) + "\n"


def trust_own_kinds(path: Path) -> None:
    """Include the own kinds beside a rules file, where it allows Python.

    A file with wrong rules may allow it, too; of one that can't be parsed no kind is included.
    """
    try:
        allowed = rules_document.parse(path).data.get("allow")
    except RuleError:
        return
    if isinstance(allowed, dict) and allowed.get("python") is True:
        plugins.trust_folder((path if path.is_dir() else path.parent).resolve())


def rules_file() -> Schema:
    """Return the whole schema. No section is required, as a folder may hold several files."""
    sections = {
        "sources": _sources(),
        "channels": _channels(),
        "alerts": _section(schema_of(Settings), "When people are mailed, and when not."),
        "defaults": _section(
            schema_of(Defaults), "What rules say when they don't say it themselves."
        ),
        "rules": _rules(),
        "tests": rule_tests(),
        "state": {
            "type": ["string", "null"],
            "description": "The URL of sanityd's own store (SQLite or PostgreSQL); "
            "`SANITYD_STATE` wins.",
            "examples": ["sqlite:///.sanityd/state.db", "${STATE_URL}"],
        },
        "allow": _section(schema_of(AllowSpec), "What may run with sanityd's own rights."),
        "name": {
            "type": ["string", "null"],
            "pattern": r"\S",
            "description": "What this file is called in a store that isn't beside it.",
            "examples": ["shop"],
        },
    }
    whole = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "sanityd's rules file",
        "type": "object",
        "properties": {name: sections[name] for name in SECTIONS},
        "additionalProperties": False,
    }
    shown: Schema = _for_editors(whole)
    return shown


def _section(schema: Schema, description: str) -> Schema:
    """Return the schema of a section, which may be empty."""
    return nullable({**schema, "description": description})


def _sources() -> Schema:
    options = schema_of(SourceSpec)
    options["anyOf"] = [{"required": ["url"]}, {"required": ["files"]}]
    url = {"type": "string", "description": options["properties"]["url"]["description"]}
    entry = {
        "description": "A database to look at: its URL, or a mapping with `url` or `files` and how "
        "gently to treat it.",
        "anyOf": [options, url],
        "examples": [
            "${APP_DATABASE_URL}",
            {"url": "${APP_DATABASE_URL}", "statement_timeout": "30s"},
        ],
    }
    return _named(widened(entry, _SECRET), NAME, "The watched databases; they are only read.")


def _channels() -> Schema:
    kinds = plugins.kind_names("channels")
    listed = ", ".join(f"`{kind}`" for kind in kinds)
    entry = {
        "description": f"Who is notified and how: one of the keys {listed}",
        "anyOf": [_channel(kind) for kind in kinds],
    }
    return _named(widened(entry, _SECRET), NAME, "Who is notified, and how.")


def _channel(kind: str) -> Schema:
    model = plugins.load_kind("channels", kind)
    options = schema_of(model)
    # The name of a channel is the key of its mapping.
    del options["properties"]["name"]
    options["required"].remove("name")
    return {**with_examples(options, examples(model)), "title": kind}


def _rules() -> Schema:
    rule = schema_of(RuleSpec)
    kinds = {kind: _kind(kind) for kind in plugins.kind_names("checks")}
    rule["description"] = "A promise about the data. Its key is its id: kebab-case, said aloud."
    rule["properties"] = {**rule["properties"], **kinds}
    rule = widened(rule, _EACH, keys=True)
    advice = "a rule has one check, such as `unique` or `has`: `sanityd kinds` lists them"
    one_kind = [{"required": [kind], "errorMessage": advice} for kind in kinds]
    # `for_each` may fill in the kind of a check.
    rule |= {
        "if": {"required": ["for_each"]},
        "else": {"anyOf": one_kind, "allOf": _mutually_exclusive(list(kinds))},
    }
    return _named(rule, ID, "What must always be true of the data: an id, and what it says.")


def _mutually_exclusive(kinds: list[str]) -> list[Schema]:
    """Return schemas that forbid two kinds in one rule.

    They mean the same as `oneOf`, for which editors can't tell which key is too much.
    """
    message = "a rule has one check: make one rule of each"
    schemas: list[Schema] = []
    for number, kind in enumerate(kinds[:-1]):
        forbidden = dict.fromkeys(kinds[number + 1 :], False)
        consequence = {"properties": forbidden, "errorMessage": message}
        schemas.append({"if": {"required": [kind]}, "then": consequence})
    return schemas


def _kind(kind: str) -> Schema:
    """Return the schema of a kind: its fields are the options, its docstring the description."""
    model = plugins.load_kind("checks", kind)
    whole = schema_of(model)
    for form in whole.get("anyOf", ()):
        if "properties" in form:
            # The description of the kind belongs to both forms.
            del form["description"]
            form["title"] = f"options of {kind}"
    whole["description"] = manual.text(kind)
    short = model.short and (model.model_fields[model.short].alias or model.short)
    return with_examples(whole, examples(model), short)


def _named(entry: Schema, names: re.Pattern[str], description: str) -> Schema:
    """Return the schema of a section with entries by name, which may be empty."""
    return {
        "type": ["object", "null"],
        "description": description,
        "propertyNames": {
            "pattern": f"^{names.pattern}$",
            "patternErrorMessage": "write small letters and digits, with `-` between words",
        },
        "additionalProperties": entry,
    }


def _for_editors(schema: Any) -> Any:
    """Return the schema with titles, with Markdown marked as such, and with snippets."""
    if isinstance(schema, list):
        return [_for_editors(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result: Schema = {}
    for key, value in schema.items():
        result[key] = value if key in DATA else _for_editors(value)
    properties = result.get("properties")
    if isinstance(properties, dict):
        result["properties"] = {
            name: _with_title(name, option) for name, option in properties.items()
        }
    description = schema.get("description")
    if isinstance(description, str) and "`" in description:
        result["markdownDescription"] = description
    return with_snippets(result)


def _with_title(name: str, option: Any) -> Any:
    """Return the schema of an option with its name as title. False forbids the option."""
    return option if option is False else {"title": name, **option}
