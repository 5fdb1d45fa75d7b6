"""How options of a rule are written, as JSON Schemas for editors.

Each is never stricter than the reader of the same name in `spec.py`, so that an editor never marks
what is right.
"""

from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from sanityd.model import Severity
from sanityd.model.durations import DURATION

_WORDS = [severity.label for severity in sorted(Severity, reverse=True)]


def _in_any_case(word: str) -> str:
    return "".join(f"[{letter}{letter.upper()}]" for letter in word)


_ANY_CASE = "^(" + "|".join(map(_in_any_case, _WORDS)) + ")$"
_STEP: dict[str, Any] = {
    "description": "From so many violations on, as in `50`, "
    "or from such a share of the rows in scope, as in `5%`.",
    "anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "%$"}],
    "examples": [1, 50, "5%"],
}
_SEVERITIES: dict[str, Any] = {
    "anyOf": [
        {"enum": _WORDS},
        # In capitals, too.
        {"type": "string", "pattern": _ANY_CASE, "doNotSuggest": True},
        {
            "type": "object",
            "description": "From which extent on a violation is how severe.",
            "minProperties": 1,
            "properties": dict.fromkeys(_WORDS, _STEP),
            "patternProperties": {_ANY_CASE: _STEP},
            "additionalProperties": False,
        },
    ]
}


def _text(pattern: str, advice: str) -> Any:
    return Annotated[str, Field(pattern=pattern, json_schema_extra={"patternErrorMessage": advice})]


SCHEDULE = "write `every 5m`, `daily at 07:30 Europe/Berlin` or a cron line"
SCAN = "write `full`, or `new rows by created_at, full daily`"
CONFIRM = "write `no`, `again after 30s`, `2 runs` or `for 5m`"

Schedule = _text(
    r"^\s*(manual|hourly|"
    rf"every\s+{DURATION}|"
    r"daily at ([01]?[0-9]|2[0-3]):[0-5][0-9]( \S+)?|"
    r"@[a-z]+(\s+\S+)?|"
    r"\S+(\s+\S+){4,5})\s*$",
    SCHEDULE,
)
Severities = Annotated[Any, WithJsonSchema(_SEVERITIES)]
Scan = _text(r"^(full|new rows by \S+(, full (daily|every [^,]+))?(, overlap [^,]+)?)$", SCAN)
Confirm = _text(rf"^(no|[2-9] runs|(again after |for )?{DURATION})$", CONFIRM)
