"""The key `remedy` of a rule, as models: an HTTP request or a command, and when it may be sent."""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from sanityd.model.option_types import Duration, option_error

#: A placeholder: `{key.id}`, `{show.status}`, `{id}`, `{rule}`.
PLACEHOLDER = re.compile(r"\{(?:(key|show)\.([^{}]+)|(id|rule))\}")
#: Other braces; `${NAME}` is filled in before a request is made.
_BRACES = re.compile(r"\$\{[^{}]*\}|\{[^{}]*\}?|\}")
_ADVICE = "write `{key.COLUMN}`, `{show.COLUMN}`, `{id}` or `{rule}`"
_RATE = re.compile(r"([1-9]\d{0,5}) per (second|minute|hour)")
_SECONDS = {"second": 1, "minute": 60, "hour": 3600}
_RATE_ADVICE = "write a number and a time, as in `60 per minute`"
#: A longer request would outlast the lease of its process.
LONGEST = timedelta(minutes=5)
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
#: Headers that sanityd sets itself.
_RESERVED = {
    "connection",
    "content-length",
    "content-type",
    "host",
    "idempotency-key",
    "transfer-encoding",
    "user-agent",
}


class _RemedySection(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
    )


@dataclass(frozen=True, slots=True)
class Rate:
    """At most so many requests in so many seconds."""

    requests: int
    seconds: int

    @property
    def pause(self) -> timedelta:
        """The time between the beginnings of two requests."""
        return timedelta(seconds=self.seconds / self.requests)


def _rate(value: Any) -> Any:
    if isinstance(value, Rate):
        return value
    match = _RATE.fullmatch(str(value))
    if match is None:
        raise option_error("this is not a rate", _RATE_ADVICE)
    return Rate(int(match[1]), _SECONDS[match[2]])


_RateText = Annotated[
    str,
    Field(
        pattern=rf"^{_RATE.pattern}$",
        examples=["60 per minute", "5 per second"],
        json_schema_extra={"patternErrorMessage": _RATE_ADVICE},
    ),
]


def _placeholders(text: str) -> str:
    for braces in _BRACES.findall(PLACEHOLDER.sub("", text)):
        if not braces.startswith("$"):
            raise option_error("this is not a placeholder", _ADVICE, word=braces)
    return text


def _short_time(value: timedelta) -> timedelta:
    if value > LONGEST:
        raise option_error("one attempt may take 5 minutes at most", "write `5m` or less")
    return value


def _url(text: str) -> str:
    _placeholders(text)
    first = PLACEHOLDER.search(text)
    begin = text if first is None else text[: first.start()]
    has_host = "${" in begin or re.match(r"https?://[^/?#{}]+[/?]", begin)
    if first is not None and not has_host:
        raise option_error(
            "the values of a row can't say where the request goes",
            "use placeholders only in the path and after `?`",
            word=first[0],
        )
    if "#" in text:
        raise option_error("a request has no part after `#`", "take it out", word="#")
    return text


def _headers(headers: dict[str, str]) -> dict[str, str]:
    for name, text in headers.items():
        if not _HEADER.fullmatch(name) or name.lower() in _RESERVED:
            raise option_error(
                f"`{name}` can't be a header of a remedy", "name another, as `Authorization`"
            )
        if not text.isascii() or not text.isprintable():
            raise option_error(
                f"the header `{name}` has letters that headers can't have", "write plain ASCII"
            )
        if PLACEHOLDER.search(text):
            raise option_error(
                f"the header `{name}` can't have values of a row",
                "put them into `json`; the id of the request is sent as `Idempotency-Key`",
            )
    return headers


def _body(value: Any) -> Any:
    if isinstance(value, str):
        _placeholders(value)
    elif isinstance(value, list):
        for item in value:
            _body(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            _no_placeholder_in_key(str(name))
            _body(item)
    return value


def _no_placeholder_in_key(name: str) -> None:
    if PLACEHOLDER.search(name):
        raise option_error("the name of a field can't be a value of a row", "write plain text")


def _command(value: Any) -> Any:
    return {"run": value} if isinstance(value, list) else value


_AttemptTime = Annotated[Duration, AfterValidator(_short_time)]


class HttpSpec(_RemedySection):
    """The HTTP request of a remedy."""

    url: Annotated[str, AfterValidator(_url)] = Field(
        description="Where it is sent: `https://`, or on this machine; a secret.",
        examples=["${MAILER_URL}/resend", "${MAILER_URL}/people/{key.id}/mail"],
    )
    method: Literal["POST", "PUT", "PATCH", "DELETE"] = Field("POST", description="Its method.")
    headers: Annotated[dict[str, str], AfterValidator(_headers)] = Field(
        {},
        description="More headers, as `Authorization`; secrets.",
        examples=[{"Authorization": "Bearer ${MAILER_TOKEN}"}],
    )
    # `json` is a method of pydantic's models.
    body: Annotated[Any, AfterValidator(_body)] = Field(
        None,
        alias="json",
        description="Its body. `{key.COLUMN}` and `{show.COLUMN}` stand for values of the row.",
        examples=[{"person_id": "{key.id}"}],
    )
    timeout: _AttemptTime = Field(
        timedelta(seconds=10), description="How long one attempt may take."
    )
    answers_id: bool = Field(
        True,
        description="Whether the `id` of a JSON answer is that of the request; "
        "`false` where it is the id of something else.",
    )


class CommandSpec(_RemedySection):
    """The command of a remedy."""

    run: Annotated[list[Annotated[str, AfterValidator(_placeholders)]], Field(min_length=1)] = (
        Field(
            description="The program and its arguments; no shell.",
            examples=[["resend", "{key.id}"]],
        )
    )
    timeout: _AttemptTime = Field(
        timedelta(seconds=10), description="How long one attempt may take."
    )


class RemedySpec(_RemedySection):
    """What may repair a row."""

    http: HttpSpec | None = Field(None, description="An HTTP request.")
    command: Annotated[
        CommandSpec | None,
        BeforeValidator(_command, json_schema_input_type=list[str] | CommandSpec | None),
    ] = Field(
        None,
        description="A program; needs `allow: {commands: true}`.",
        examples=[["resend", "{key.id}"]],
    )
    per: Literal["row", "batch"] = Field(
        "row", description="One request for each row, or one for up to `batch_size` rows."
    )
    batch_size: int = Field(100, ge=1, le=1000, description="The most rows of a batch.")
    auto: Literal["no", "yes"] = Field(
        "no", description="Whether it is sent by itself, or by `sanityd remedy RULE`."
    )
    max_rows: int = Field(
        50, ge=1, description="With more violations than that, nothing is sent by itself."
    )
    rate: Annotated[Rate, BeforeValidator(_rate, json_schema_input_type=_RateText)] = Field(
        Rate(60, 60), description="At most so many requests, evenly spread."
    )
    attempts: int = Field(5, ge=1, le=50, description="How often a request is tried.")
    quiet_hours: Literal["as alerts", "none"] = Field(
        "as alerts", description="Whether nothing is sent by itself in `alerts: quiet_hours`."
    )

    @model_validator(mode="after")
    def _http_or_command(self) -> Self:
        if (self.http is None) == (self.command is None):
            raise option_error("a remedy has either `http` or `command`", "write one of them")
        return self

    @property
    def timeout(self) -> timedelta:
        """How long one attempt may take."""
        action = self.http or self.command
        return action.timeout if action is not None else timedelta(0)


@dataclass(frozen=True, slots=True)
class Remedy:
    """The remedy of a rule: ready to be sent, and as it is written, without its secrets."""

    filled: RemedySpec = field(repr=False)
    written: RemedySpec


def placeholders(value: Any) -> list[str]:
    """Return the placeholders in a piece of plain data, as `{key.id}`, in their order."""
    if isinstance(value, str):
        return [match[0] for match in PLACEHOLDER.finditer(value)]
    names = []
    items: Any = ()
    if isinstance(value, dict):
        items = value.values()
    elif isinstance(value, list):
        items = value
    for item in items:
        names += placeholders(item)
    return names


def of_row(value: Any) -> list[str]:
    """Return the placeholders that stand for a value of a row."""
    return [name for name in placeholders(value) if "." in name]
