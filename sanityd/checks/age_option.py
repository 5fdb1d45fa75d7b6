"""How an age is written in a rules file: `10m of created_at`."""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from sanityd.checks.invariant import Age
from sanityd.model.durations import DURATION, parse_duration, written_duration
from sanityd.model.option_types import option_error

_ADVICE = "write `10m of created_at`"
#: As the JSON Schema describes it, which is never stricter than the reader.
_AgeText = Annotated[
    str,
    Field(
        pattern=rf"^\s*{DURATION}\s* of \s*\S", json_schema_extra={"patternErrorMessage": _ADVICE}
    ),
]


def duration_part(text: str) -> timedelta:
    """Return a duration that is a part of an option. Raises PydanticCustomError, which names it."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise option_error(f"`{text}` is not a duration", str(error), word=text) from None


def _age(value: Any) -> Any:
    if isinstance(value, Age) or value is None:
        return value
    if not isinstance(value, str):
        raise option_error("this is no age", _ADVICE)
    length, of, column = value.partition(" of ")
    message = f"`{value}` does not name the column that the age is measured by"
    correction = _corrected_age(value) if not of else ""
    if correction:
        raise option_error(message, f"write `{correction}`")
    age = duration_part(length.strip())
    if not column.strip():
        raise option_error(message, f"write `{length} of COLUMN`")
    return Age(age, column.strip())


def _corrected_age(text: str) -> str:
    """Return `10m created_at` as `10m of created_at`, and `3 weeks` as `3w of COLUMN`.

    Empty for a text that does not begin with a duration.
    """
    if length := written_duration(text):
        return f"{length} of COLUMN"
    words = text.split()
    if not words:
        return ""
    try:
        parse_duration(words[0])
    except ValueError:
        return ""
    column = "COLUMN"
    if len(words) > 1 and words[-1] != "of":
        column = words[-1]
    return f"{words[0]} of {column}"


#: An age and the column that it is measured by, such as `10m of created_at`.
AgeOf = Annotated[Age, BeforeValidator(_age, json_schema_input_type=_AgeText)]
