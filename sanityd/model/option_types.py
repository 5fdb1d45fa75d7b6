"""What the options of rules, channels and policies are made of: names, lengths of time, and how a wrong one is told.

Knows nothing of what the options are for.
"""

import difflib
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from sanityd.model.durations import DURATION, LENGTHS, duration


def fault(message: str, advice: str = "", *, word: str | None = None) -> PydanticCustomError:
    """A mistake in an option: what is wrong, what to write instead, and the word of it that is to blame.

    Never quotes a secret.
    """
    return PydanticCustomError(
        "sanityd", "{message}", {"message": message, "advice": advice, "word": word}
    )


def faults(found: Sequence[PydanticCustomError]) -> PydanticCustomError:
    """Several mistakes in one option, told together."""
    return PydanticCustomError("sanityd", "{message}", {"several": [one.context for one in found]})


def zone_advice(name: str) -> str:
    """What to write instead of a time zone that there isn't."""
    if near := difflib.get_close_matches(name, available_timezones(), n=1, cutoff=0.7):
        return f"did you mean `{near[0]}`?"
    return "write a name such as `Europe/Berlin`, or `UTC`"


def listed(value: Any) -> Any:
    """One name or several, as people write them."""
    return [value] if isinstance(value, str) else value


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise fault(
            "this is not a duration", "write a number and a unit, as in `30s`, `10m`, `36h`"
        )
    try:
        return duration(value)
    except ValueError as error:
        raise fault(f"`{value}` is not a duration", str(error)) from None


def _zone(value: Any) -> Any:
    if isinstance(value, ZoneInfo) or value is None:
        return value
    try:
        return ZoneInfo(str(value))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise fault(f"`{value}` is not a time zone", zone_advice(str(value))) from None


#: What people write; for the JSON Schema, which is never stricter than the validator beside it.
_DurationText = Annotated[
    str,
    Field(
        pattern=rf"^{DURATION}$",
        examples=["30s", "10m", "36h", "7d", "1h30m"],
        json_schema_extra={"patternErrorMessage": LENGTHS},
    ),
]
_ZoneText = Annotated[str, Field(examples=["Europe/Berlin", "America/New_York", "UTC"])]

Names = Annotated[list[str], BeforeValidator(listed, json_schema_input_type=str | list[str])]
Duration = Annotated[timedelta, BeforeValidator(_duration, json_schema_input_type=_DurationText)]
Zone = Annotated[ZoneInfo, BeforeValidator(_zone, json_schema_input_type=_ZoneText)]
