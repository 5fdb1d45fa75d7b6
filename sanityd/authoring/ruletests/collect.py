"""The JSON Schema of the section `tests:`."""

from sanityd.authoring.reference.json_schema import Schema, schema_of
from sanityd.rules.cases import CaseSpec


def rule_tests() -> Schema:
    """Return the schema: ids of rules, each with one example or several."""
    example = {**schema_of(CaseSpec), "description": "Rows, and which of them the rule must find."}
    return {
        "type": ["object", "null"],
        "description": "Examples for the rules, which need no database: `sanityd test` plays them.",
        "additionalProperties": {"anyOf": [example, {"type": "array", "items": example}]},
    }
