"""The JSON Schema of a rules file, for editors: what `sanityd schema` prints and `sanityd init`
writes.

All of it comes from the models that read the file, and from the manuals of kinds and channels. It
knows shapes, not meanings: whether a table exists is for `sanityd lint --connect`.
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

#: What `init` writes it to, beside the rules file.
FILE = "sanityd.schema.json"
#: The first line of a rules file, by which editors find it.
MODELINE = f"# yaml-language-server: $schema=./{FILE}\n"
#: Where a secret is filled in, and where a value of `for_each`.
_SECRET, _EACH = r"\$\{", r"\{.+\}"


def text() -> str:
    """The schema as it is written to a file."""
    return json.dumps(rules_file(), indent=1, ensure_ascii=False) + "\n"


def trust(path: Path) -> None:
    """Take the kinds of one's own beside a rules file, where it allows Python; a file with mistakes
    may, too."""
    try:
        allowed = rules_document.parse(path).data.get("allow")
    except RuleError:
        return
    if isinstance(allowed, dict) and allowed.get("python") is True:
        plugins.trust((path if path.is_dir() else path.parent).resolve())


def rules_file() -> Schema:
    """The whole schema: of a file, or of one of several in a folder, so that no section is a
    must."""
    known = {
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
            "description": "The URL of sanityd's own memory (SQLite or PostgreSQL); `SANITYD_STATE` wins.",
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
        "properties": {name: known[name] for name in SECTIONS},
        "additionalProperties": False,
    }
    shown: Schema = _for_editors(whole)
    return shown


def _section(schema: Schema, description: str) -> Schema:
    """A section may stand there empty."""
    return nullable({**schema, "description": description})


def _sources() -> Schema:
    options = schema_of(SourceSpec)
    options["anyOf"] = [{"required": ["url"]}, {"required": ["files"]}]
    url = {"type": "string", "description": options["properties"]["url"]["description"]}
    one = {
        "description": "A database to look at: its URL, or a mapping with `url` or `files` and how gently to treat it.",
        "anyOf": [options, url],
        "examples": [
            "${APP_DATABASE_URL}",
            {"url": "${APP_DATABASE_URL}", "statement_timeout": "30s"},
        ],
    }
    return _named(
        widened(one, _SECRET), NAME, "The databases that are looked at, and only looked at."
    )


def _channels() -> Schema:
    one = {
        "description": "Who is told and how: one of the keys "
        + ", ".join(f"`{kind}`" for kind in _kinds("channels")),
        "anyOf": [_channel(kind) for kind in _kinds("channels")],
    }
    return _named(widened(one, _SECRET), NAME, "Who is told, and how.")


def _channel(kind: str) -> Schema:
    model = plugins.lookup("channels", kind)
    options = schema_of(model)
    # Its name is the key that it stands below.
    del options["properties"]["name"]
    options["required"].remove("name")
    return {**with_examples(options, examples(model)), "title": kind}


def _rules() -> Schema:
    rule = schema_of(RuleSpec)
    kinds = {kind: _kind(kind) for kind in _kinds("checks")}
    rule["description"] = "A promise about the data. Its key is its id: kebab-case, said aloud."
    rule["properties"] = {**rule["properties"], **kinds}
    rule = widened(rule, _EACH, keys=True)
    advice = "a rule has one check, such as `unique` or `has`: `sanityd kinds` lists them"
    a_kind = [{"required": [kind], "errorMessage": advice} for kind in kinds]
    # The key of a check may be one that `for_each` fills in.
    rule |= {
        "if": {"required": ["for_each"]},
        "else": {"anyOf": a_kind, "allOf": _alone(list(kinds))},
    }
    return _named(rule, ID, "What must always be true of the data: an id, and what it says.")


def _alone(kinds: list[str]) -> list[Schema]:
    """That no two of them stand in one rule: the same as `oneOf`, of which editors can't say what
    is too much."""
    message = "a rule has one check: make one rule of each"
    return [
        {
            "if": {"required": [kind]},
            "then": {
                "properties": dict.fromkeys(kinds[place + 1 :], False),
                "errorMessage": message,
            },
        }
        for place, kind in enumerate(kinds[:-1])
    ]


def _kind(kind: str) -> Schema:
    """A kind from its file alone: its fields are the options, its docstring the manual."""
    model = plugins.lookup("checks", kind)
    whole = schema_of(model)
    for form in whole.get("anyOf", ()):
        if "properties" in form:
            # What is said of the kind is said above both forms.
            del form["description"]
            form["title"] = f"options of {kind}"
    whole["description"] = manual.text(kind)
    short = model.short and (model.model_fields[model.short].alias or model.short)
    return with_examples(whole, examples(model), short)


def _kinds(room: str) -> list[str]:
    return plugins.names(room)


def _named(one: Schema, names: re.Pattern[str], description: str) -> Schema:
    """A section of things by their names; it may stand there empty."""
    return {
        "type": ["object", "null"],
        "description": description,
        "propertyNames": {
            "pattern": f"^{names.pattern}$",
            "patternErrorMessage": "write small letters and digits, with `-` between words",
        },
        "additionalProperties": one,
    }


def _for_editors(schema: Any) -> Any:
    """Each key with its name as a title, Markdown as such, and mappings among the examples as
    snippets."""
    if isinstance(schema, list):
        return [_for_editors(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    told = {key: value if key in DATA else _for_editors(value) for key, value in schema.items()}
    if isinstance(properties := told.get("properties"), dict):
        told["properties"] = {
            name: one if one is False else {"title": name, **one}
            for name, one in properties.items()
        }
    if isinstance(description := schema.get("description"), str) and "`" in description:
        told["markdownDescription"] = description
    return with_snippets(told)
