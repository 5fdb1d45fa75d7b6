"""Bounds as rules write them: `[0, 120]` or `{min:, max:, above:, below:}`."""

import re
from datetime import timedelta
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue

from sanityd.model.durations import DURATION, parse_duration
from sanityd.model.option_types import option_error

Bound = int | float | str
#: A bound that is the time of the run, or some time before or after it.
_NOW = re.compile(rf"now(?: *([+-]) *({DURATION}))?")


def from_now(bound: Bound) -> timedelta | None:
    """How far a bound is from the time of the run: a day for `now + 1d`; None for a fixed one.

    Raises ValueError for a length of time that is none.
    """
    match = _NOW.fullmatch(bound) if isinstance(bound, str) else None
    if match is None:
        return None
    distance = parse_duration(match[2]) if match[2] else timedelta(0)
    return -distance if match[1] == "-" else distance


def _set_bounds(*bounds: Bound | None) -> list[Bound]:
    return [bound for bound in bounds if bound is not None]


class Range(BaseModel):
    """Bounds of a value: `min` and `max` are included, `above` and `below` are not."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    min: Bound | None = Field(None, description="At least that.", examples=[0, "2020-01-01"])
    max: Bound | None = Field(
        None, description="At most that.", examples=[120, "2030-12-31", "now", "now + 1d"]
    )
    above: Bound | None = Field(None, description="More than that.", examples=[0])
    below: Bound | None = Field(None, description="Less than that.", examples=[100])

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: Any, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Both forms."""
        ends = {
            "type": "array",
            "items": {"type": ["number", "string", "null"]},
            "minItems": 2,
            "maxItems": 2,
        }
        return {
            "anyOf": [{**ends, "examples": [[0, 120]]}, handler.resolve_ref_schema(handler(core))]
        }

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        if len(value) != 2:
            raise option_error("a range has two ends", "write `[lowest, highest]`")
        return {"min": value[0], "max": value[1]}

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if not self.bounds:
            raise option_error(
                "has no bound",
                "write `[lowest, highest]`, or one of `min`, `max`, `above`, `below`",
            )
        self._are_values_of_one_type()
        if not self.reads_clock:
            self._contains_a_value()
        return self

    def _are_values_of_one_type(self) -> None:
        for bound in self.bounds:
            try:
                from_now(bound)
            except ValueError as error:
                raise option_error(
                    f"`{bound}` is not a time", str(error), word=str(bound)
                ) from None
        if len({isinstance(bound, str) for bound in self.bounds}) > 1:
            raise option_error(
                "mixes numbers and text", "write all bounds as numbers, or all as dates or text"
            )

    def _contains_a_value(self) -> None:
        lows = _set_bounds(self.min, self.above)
        highs = _set_bounds(self.max, self.below)
        if not lows or not highs:
            return
        low, high = max(lows), min(highs)
        is_open = low == self.above or high == self.below
        if low > high or (is_open and low == high):  # type: ignore[operator]
            raise option_error(
                f"no value lies between {low} and {high}", "write the lower bound first"
            )

    @property
    def bounds(self) -> list[Bound]:
        """Those that are set."""
        return _set_bounds(self.min, self.max, self.above, self.below)

    @property
    def reads_clock(self) -> bool:
        """Whether a bound is relative to the time of the run."""
        return any(from_now(bound) is not None for bound in self.bounds)

    def allows(self, value: float) -> bool:
        """Whether a number lies within."""
        return not any(
            outside(value, float(bound)) for bound, outside in self._outside() if bound is not None
        )

    def deviation(self, value: float) -> float:
        """How far a number lies outside, at least a tenth of the bound; 0 when it doesn't."""
        distances: list[float] = []
        for bound, outside in self._outside():
            if isinstance(bound, int | float) and outside(value, bound):
                distances.append(max(abs(value - bound), abs(bound) / 10))
        return max(distances, default=0.0)

    def excludes(self, element: Any, bound_as: Any) -> list[Any]:
        """The SQL conditions, one per bound, by which `element` lies outside.

        Parameters: `bound_as` returns the expression of a bound.
        """
        return [
            outside(element, bound_as(bound))
            for bound, outside in self._outside()
            if bound is not None
        ]

    def _outside(self) -> list[tuple[Bound | None, Any]]:
        return [
            (self.min, lambda value, bound: value < bound),
            (self.max, lambda value, bound: value > bound),
            (self.above, lambda value, bound: value <= bound),
            (self.below, lambda value, bound: value >= bound),
        ]

    @property
    def outside(self) -> str:
        """What is not in it, in words: `outside 0 to 120`, `below 1`, `not above 0`."""
        if self.min is not None and self.max is not None:
            return f"outside {self}"
        words = {
            ("below", "earlier than"): self.min,
            ("above", "later than"): self.max,
            ("not above", "not later than"): self.above,
            ("not below", "not earlier than"): self.below,
        }
        return " or ".join(
            f"{word[from_now(bound) is not None]} {bound}"
            for word, bound in words.items()
            if bound is not None
        )

    def __str__(self) -> str:
        """The range in words: `0 to 120`, `at least 1`, `above 0`."""
        if self.min is not None and self.max is not None:
            return f"{self.min} to {self.max}"
        words = {
            "at least": self.min,
            "at most": self.max,
            "above": self.above,
            "below": self.below,
        }
        return " and ".join(f"{word} {bound}" for word, bound in words.items() if bound is not None)
