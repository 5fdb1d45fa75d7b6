"""The JSON Schema of the section `tests:`, rows and what a rule says of them."""

from typing import Any


def rule_tests() -> dict[str, Any]:
    """Ids of rules, each with one test or several."""
    test = {
        "type": "object",
        "description": "Rows, and which of them the rule must find.",
        "properties": {
            "now": {
                "type": "string",
                "description": "The time at which the rule is looked at.",
                "examples": ["2026-01-01 12:00"],
            },
            "given": {
                "type": "object",
                "description": "Tables by their names as rules write them, each with its rows.",
                "additionalProperties": {"type": "array", "items": {"type": "object"}},
                "examples": [{"app.people": [{"id": 1, "created_at": "11:00"}]}],
            },
            "violates": {
                "type": "array",
                "description": "The keys that violate the rule; none: it holds.",
                "examples": [[2], []],
            },
        },
        "required": ["given", "violates"],
        "additionalProperties": False,
    }
    return {
        "type": ["object", "null"],
        "description": "Tests of the rules, which need no database.",
        "additionalProperties": {"anyOf": [test, {"type": "array", "items": test}]},
    }
