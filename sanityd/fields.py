"""What the options of rules, channels and policies are made of: names, lengths of time, and how a wrong one is told.

Knows nothing of what the options are for.
"""

from datetime import timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from sanityd.durations import duration


def fault(message: str, advice: str = "", *, word: str | None = None) -> PydanticCustomError:
    """A mistake in an option: what is wrong, what to write instead, and the word of it that is to blame.

    Never quotes a secret.
    """
    return PydanticCustomError("sanityd", "{message}", {"message": message, "advice": advice, "word": word})


def listed(value: Any) -> Any:
    """One name or several, as people write them."""
    return [value] if isinstance(value, str) else value


def _duration(value: Any) -> Any:
    try:
        return duration(value) if isinstance(value, str) else value
    except ValueError as error:
        raise fault(f"`{value}` is not a duration", str(error)) from None


def _zone(value: Any) -> Any:
    try:
        return ZoneInfo(value) if isinstance(value, str) else value
    except (ZoneInfoNotFoundError, ValueError):
        raise fault(f"`{value}` is not a time zone", "write a name such as `Europe/Berlin`, or `UTC`") from None


Names = Annotated[list[str], BeforeValidator(listed)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]
