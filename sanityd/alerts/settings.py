"""The section `alerts:` of a rules file: all settings of the notification policy, with defaults."""

import re
from datetime import time, timedelta
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sanityd.model.option_types import Duration, DurationOrZero, Names, Zone, option_error

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _time_of_day(value: Any) -> Any:
    if isinstance(value, time):
        return value
    match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", str(value))
    if match is not None:
        return time(int(match[1]), int(match[2]))
    raise option_error(f"`{value}` is not a time of day", _HOURS)


_HOURS = "write hours and minutes, as in `08:30`"
_TimeText = Annotated[
    str,
    Field(
        pattern=r"^([01]?[0-9]|2[0-3]):[0-5][0-9]$",
        examples=["08:30", "22:00"],
        json_schema_extra={"patternErrorMessage": _HOURS},
    ),
]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day, json_schema_input_type=_TimeText)]


class _SettingsSection(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True
    )


class Limits(_SettingsSection):
    """Limits on tracked rows and on mails."""

    tracked_rows: int = Field(
        1000, ge=1, le=100_000, description="The most rows of a rule that are tracked one by one."
    )
    evidence_rows: int = Field(
        20,
        ge=0,
        le=1000,
        description="For at most so many new violations of a rule, `evidence` is read in one pass.",
    )
    rows_in_mail: int = Field(15, ge=1, le=100, description="The most rows that a mail lists.")
    mails_per_hour: int = Field(
        10,
        ge=1,
        description="Above that, updates, escalations and reminders wait for one mail an hour.",
    )


class AcknowledgeSettings(_SettingsSection):
    """How long an acknowledgement, a snooze and an acceptance last."""

    default: Duration = Field(7 * _DAY, description="The duration if none is given.")
    max: Duration = Field(30 * _DAY, description="The longest duration.")
    accepted: Duration = Field(180 * _DAY, description="The longest duration of an acceptance.")


class Flapping(_SettingsSection):
    """When a rule counts as flapping. Scores are from 0 to 100."""

    start: float = Field(30, gt=0, le=100, description="Flapping starts at this score.")
    end: float = Field(25, ge=0, le=100, description="Flapping ends at this score.")
    window: int = Field(
        20, ge=5, le=200, description="How many complete runs the score is based on."
    )

    @model_validator(mode="after")
    def _ends_below(self) -> Self:
        if self.end > self.start:
            raise option_error(
                "`end` is above `start`", "let it end at a lower score than it starts at"
            )
        return self


NoiseMode = Literal["on", "suggest", "off"]


class Noise(_SettingsSection):
    """When a rule is downgraded because nobody acts on its mails."""

    auto: NoiseMode = Field("on", description="Downgrade, only suggest it, or do nothing.")
    critical: Literal["suggest", "off"] = Field(
        "suggest",
        description="The same for critical rules, which are never downgraded automatically.",
    )
    window: Duration = Field(28 * _DAY, description="The period in which mails are counted.")
    min_mails: int = Field(8, ge=1, description="No downgrade after fewer mails.")
    min_days: int = Field(5, ge=1, description="No downgrade if the mails came on fewer days.")
    min_rule_age: Duration = Field(14 * _DAY, description="No downgrade while the rule is younger.")
    acted_upper_bound: float = Field(
        0.35,
        gt=0,
        lt=1,
        description="Wilson's 95 % upper bound of the share of mails that somebody acted on.",
    )
    grace: Duration = Field(
        72 * _HOUR, description="The time between the notice and the downgrade."
    )
    cooldown: Duration = Field(28 * _DAY, description="At most one downgrade in that time.")
    lock_after_undo: Duration = Field(
        30 * _DAY, description="The time after an undo without another downgrade."
    )


class DigestSettings(_SettingsSection):
    """The daily mail that lists warnings, long-running incidents and silenced rules."""

    at: TimeOfDay | None = Field(time(8, 30), description="The time of day; `null` for no digest.")
    zone: Zone | None = Field(None, description="The time zone; that of the mails if left out.")
    days: list[Weekday] = Field(
        ["mon", "tue", "wed", "thu", "fri"],
        description="The days of the week.",
        examples=[["mon", "tue", "wed", "thu", "fri"]],
    )
    empty: Literal["monday", "always", "never"] = Field(
        "monday", description="When to send a digest that only says that all rules held."
    )


class QuietHours(_SettingsSection):
    """When only critical incidents are mailed.

    Other incidents that are still open at the end are mailed then.
    """

    start: TimeOfDay | None = Field(None, alias="from", description="The beginning on each day.")
    end: TimeOfDay | None = Field(None, alias="to", description="The end, maybe on the next day.")
    days: list[Weekday] = Field([], description="Whole days.", examples=[["sat", "sun"]])
    zone: Zone | None = Field(None, description="The time zone; that of the mails if left out.")

    @model_validator(mode="after")
    def _both_ends(self) -> Self:
        if (self.start is None) != (self.end is None):
            raise option_error(
                "quiet hours have a beginning and an end", 'write `from: "22:00"` and `to: "07:00"`'
            )
        return self


def _long_enough(value: timedelta) -> timedelta:
    if value < 90 * _DAY:
        raise option_error("the audit is kept for 90 days at least", "write `90d` or more")
    return value


class Settings(_SettingsSection):
    """The whole section `alerts:`."""

    group_wait: DurationOrZero = Field(
        timedelta(seconds=60),
        description="How long a new incident waits for others, to share a mail; `0s`: it doesn't.",
    )
    update_every: Duration = Field(
        _HOUR, description="The shortest time between two mails about new rows of an incident."
    )
    remind: Annotated[list[Duration], Field(min_length=1)] = Field(
        [_DAY, 3 * _DAY, 7 * _DAY],
        description="When to remind, counted from the last change; the last one repeats.",
        examples=[["24h", "72h", "7d"]],
    )
    acknowledge: AcknowledgeSettings = AcknowledgeSettings()
    limits: Limits = Limits()
    flapping: Flapping = Flapping()
    noise: Noise = Noise()
    digest: DigestSettings = DigestSettings()
    quiet_hours: QuietHours = QuietHours()
    keep_audit: Annotated[Duration, AfterValidator(_long_enough)] | None = Field(
        None, description="How long the audit is kept, at least `90d`; for ever unless set."
    )
    zone: Zone = Field(ZoneInfo("UTC"), description="The zone of the times in mails.")
    owners: dict[str, Names] = Field(
        {}, description="The channels of each owner.", examples=[{"payments": ["payments-mail"]}]
    )
    tags: dict[str, Names] = Field(
        {},
        description="Channels that are also notified of every rule with a tag.",
        examples=[{"gdpr": ["privacy-mail"]}],
    )
