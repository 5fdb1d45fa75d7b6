"""The section `alerts:` of a rules file: every number of the policy, with the default that suits most teams."""

import re
from datetime import time, timedelta
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sanityd.model.option_types import Duration, Names, Zone, fault

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _time_of_day(value: Any) -> Any:
    if isinstance(value, time):
        return value
    if found := re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", str(value)):
        return time(int(found[1]), int(found[2]))
    raise fault(f"`{value}` is not a time of day", _HOURS)


_HOURS = "write hours and minutes, as in `08:30`"
_Written = Annotated[
    str,
    Field(
        pattern=r"^([01]?[0-9]|2[0-3]):[0-5][0-9]$",
        examples=["08:30", "22:00"],
        json_schema_extra={"patternErrorMessage": _HOURS},
    ),
]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day, json_schema_input_type=_Written)]


class _Settings(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True
    )


class Limits(_Settings):
    """How much of a violation is followed and mailed."""

    tracked_rows: int = Field(
        1000, ge=1, le=100_000, description="How many rows of a rule are followed one by one."
    )
    rows_in_mail: int = Field(15, ge=1, le=100, description="How many rows a mail lists.")
    mails_per_hour: int = Field(
        10, ge=1, description="What goes beyond that for one recipient comes as one mail."
    )


class AcknowledgeSettings(_Settings):
    """How long acknowledging, snoozing and closing keep quiet."""

    default: Duration = Field(7 * _DAY, description="When nobody says for how long.")
    max: Duration = Field(30 * _DAY, description="Never longer than that.")
    accepted: Duration = Field(180 * _DAY, description="The most for what is accepted.")


class Flapping(_Settings):
    """When a rule that comes and goes is told once instead of each time. Scores from 0 to 100."""

    start: float = Field(30, gt=0, le=100, description="It is flapping from this score on.")
    end: float = Field(25, ge=0, le=100, description="It is calm again at this score.")
    window: int = Field(20, ge=5, le=200, description="Over how many complete runs.")

    @model_validator(mode="after")
    def _ends_below(self) -> Self:
        if self.end > self.start:
            raise fault("`end` is above `start`", "let it end at a lower score than it starts at")
        return self


NoiseMode = Literal["on", "suggest", "off"]


class Noise(_Settings):
    """When a rule whose mails nobody acts on becomes a warning."""

    auto: NoiseMode = Field("on", description="Do it, only say so, or do nothing.")
    critical: Literal["suggest", "off"] = Field(
        "suggest", description="The same for critical rules."
    )
    window: Duration = Field(28 * _DAY, description="How far back mails are counted.")
    min_mails: int = Field(8, ge=1, description="Never after fewer mails.")
    min_days: int = Field(5, ge=1, description="Nor when they came on fewer days.")
    min_rule_age: Duration = Field(14 * _DAY, description="Nor while the rule is younger.")
    acted_upper_bound: float = Field(
        0.35,
        gt=0,
        lt=1,
        description="Wilson's 95 % upper bound of the share of mails that somebody acted on.",
    )
    grace: Duration = Field(
        72 * _HOUR, description="How long between the notice and the downgrade."
    )
    cooldown: Duration = Field(28 * _DAY, description="At most one step in that time.")
    lock_after_undo: Duration = Field(
        30 * _DAY, description="How long an undo forbids the next downgrade."
    )


class DigestSettings(_Settings):
    """The mail that lists what is mild, old or quiet."""

    at: TimeOfDay | None = Field(time(8, 30), description="When it comes; `null` for never.")
    zone: Zone | None = Field(None, description="In which zone; that of the mails if left out.")
    days: list[Weekday] = Field(
        ["mon", "tue", "wed", "thu", "fri"],
        description="On which days.",
        examples=[["mon", "tue", "wed", "thu", "fri"]],
    )
    empty: Literal["monday", "always", "never"] = Field(
        "monday", description="When to say that all rules held."
    )


class QuietHours(_Settings):
    """When nobody is mailed of anything less than critical; it is told afterwards if it still is so."""

    start: TimeOfDay | None = Field(None, alias="from", description="From when on each day.")
    end: TimeOfDay | None = Field(
        None, alias="to", description="Until when, maybe on the next day."
    )
    days: list[Weekday] = Field([], description="Whole days.", examples=[["sat", "sun"]])
    zone: Zone | None = Field(None, description="In which zone; that of the mails if left out.")

    @model_validator(mode="after")
    def _both_ends(self) -> Self:
        if (self.start is None) != (self.end is None):
            raise fault(
                "quiet hours have a beginning and an end", 'write `from: "22:00"` and `to: "07:00"`'
            )
        return self


class Settings(_Settings):
    """The whole section."""

    group_wait: Duration = Field(
        timedelta(seconds=60), description="What opens waits so long for its like."
    )
    update_every: Duration = Field(
        _HOUR, description="Other rows of what was told are mailed at most so often."
    )
    remind: Annotated[list[Duration], Field(min_length=1)] = Field(
        [_DAY, 3 * _DAY, 7 * _DAY],
        description="When to remind, counted from the news; the last one repeats.",
        examples=[["24h", "72h", "7d"]],
    )
    acknowledge: AcknowledgeSettings = AcknowledgeSettings()
    limits: Limits = Limits()
    flapping: Flapping = Flapping()
    noise: Noise = Noise()
    digest: DigestSettings = DigestSettings()
    quiet_hours: QuietHours = QuietHours()
    zone: Zone = Field(ZoneInfo("UTC"), description="The zone of the times in mails.")
    owners: dict[str, Names] = Field(
        {}, description="Which channels an owner has.", examples=[{"payments": ["payments-mail"]}]
    )
    tags: dict[str, Names] = Field(
        {},
        description="Channels that hear of every rule with a tag, too.",
        examples=[{"gdpr": ["privacy-mail"]}],
    )
