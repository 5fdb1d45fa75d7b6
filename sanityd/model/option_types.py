"""Types of options that rules, channels and policies share: lists of names, durations, time zones.

Also the way in which a validator reports a wrong option (`fault`).
"""

import difflib
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from sanityd.model.durations import DURATION, DURATION_ADVICE, parse_duration


def option_error(message: str, advice: str = "", *, word: str | None = None) -> PydanticCustomError:
    """Make the error of a wrong option. It must never quote a secret.

    Parameters: `message` says what is wrong, `advice` what to write instead; `word` is the part of
    the option that is wrong.
    """
    return PydanticCustomError(
        "sanityd", "{message}", {"message": message, "advice": advice, "word": word}
    )


def option_errors(errors: Sequence[PydanticCustomError]) -> PydanticCustomError:
    """Combine several errors in one option into one, so that all are reported together."""
    contexts = [error.context for error in errors]
    return PydanticCustomError("sanityd", "{message}", {"several": contexts})


def zone_advice(name: str) -> str:
    """Return what to write instead of the name of a time zone that does not exist."""
    near = difflib.get_close_matches(name, available_timezones(), n=1, cutoff=0.7)
    if near:
        return f"did you mean `{near[0]}`?"
    return "write a name such as `Europe/Berlin`, or `UTC`"


def as_list(value: Any) -> Any:
    """Return a single text as a list of one; any other value unchanged."""
    return [value] if isinstance(value, str) else value


def _duration(value: Any, *, least: int = 1) -> Any:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise option_error(
            "this is not a duration", "write a number and a unit, as in `30s`, `10m`, `36h`"
        )
    try:
        return parse_duration(value, least=least)
    except ValueError as error:
        raise option_error(f"`{value}` is not a duration", str(error)) from None


def _duration_or_zero(value: Any) -> Any:
    return _duration(value, least=0)


def _zone(value: Any) -> Any:
    if isinstance(value, ZoneInfo) or value is None:
        return value
    try:
        return ZoneInfo(str(value))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise option_error(f"`{value}` is not a time zone", zone_advice(str(value))) from None


# The texts as the JSON Schema describes them; the schema is never stricter than the validators.
_DurationText = Annotated[
    str,
    Field(
        pattern=rf"^{DURATION}$",
        examples=["30s", "10m", "36h", "7d", "1h30m"],
        json_schema_extra={"patternErrorMessage": DURATION_ADVICE},
    ),
]
_ZoneText = Annotated[str, Field(examples=["Europe/Berlin", "America/New_York", "UTC"])]

#: One name, or a list of names.
Names = Annotated[list[str], BeforeValidator(as_list, json_schema_input_type=str | list[str])]
#: A duration such as `10m`.
Duration = Annotated[timedelta, BeforeValidator(_duration, json_schema_input_type=_DurationText)]
#: A duration that may be `0s`.
DurationOrZero = Annotated[
    timedelta, BeforeValidator(_duration_or_zero, json_schema_input_type=_DurationText)
]
#: An IANA time zone such as `Europe/Berlin`.
Zone = Annotated[ZoneInfo, BeforeValidator(_zone, json_schema_input_type=_ZoneText)]
