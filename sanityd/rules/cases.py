"""A rule test: rows that a rule is given, and what it must find in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from sanityd.checks.invariant import TableName
from sanityd.model import Measurements
from sanityd.model.option_types import option_error
from sanityd.rules.spec import Spec
from sanityd.rules.yaml.reader import KeyPath

Scalar = None | bool | int | float | str
Row = Mapping[str, Scalar]


def _scalar(value: Any) -> Any:
    if isinstance(value, dict | list):
        raise option_error(
            "a value can't be a list or a mapping",
            "write text, a number, `true`, `false` or `null`",
        )
    return value


def _expected(value: Any) -> Any:
    if isinstance(value, dict | str | int | float) and not isinstance(value, bool):
        raise option_error(
            "`violates` must be a list",
            "write the keys that the rule must find, as in `[2, 7]`; `[]` for none",
        )
    if isinstance(value, list):
        for key in value:
            _check_key(key)
    return value


def _check_key(key: Any) -> None:
    """Raise for a key with a list or mapping in one of its columns."""
    parts = [key]
    if isinstance(key, dict):
        parts = list(key.values())
    elif isinstance(key, list):
        parts = key
    if any(isinstance(part, dict | list) for part in parts):
        raise option_error(
            "a key is no deeper than that",
            "write `2`, or of several columns `[1, a]` or `{id: 1, kind: a}`",
        )


def _past(value: Any) -> Any:
    values = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list) and all(map(_is_number, values)):
        return value
    raise option_error(
        "`past` holds numbers",
        "write `[100, 102]` (one a day, until yesterday), or `{7d ago: 100}`",
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_ANY_SCALAR = {"type": ["string", "number", "boolean", "null"]}
_KEY = {
    "anyOf": [
        *({"type": kind} for kind in ("string", "number", "boolean", "null", "array", "object"))
    ]
}
Cell = Annotated[Any, BeforeValidator(_scalar), WithJsonSchema(_ANY_SCALAR)]
Expected = Annotated[
    Any,
    BeforeValidator(_expected),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "array", "items": _KEY}]}),
]
Earlier = Annotated[
    Any,
    BeforeValidator(_past),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "number"}},
                {"type": "object", "additionalProperties": {"type": "number"}},
            ]
        }
    ),
]
Type = Literal[
    "text", "integer", "number", "boolean", "date", "timestamp", "timestamptz", "uuid", "bytes"
]


class CaseSpec(Spec):
    """One test of a rule, as it is written in the file."""

    name: str | None = Field(
        None,
        min_length=1,
        description="What the example shows, for the report.",
        examples=["the mail was lost"],
    )
    now: str | None = Field(
        None,
        description="The present, in the zone of the rule's source (2026-01-01 12:00).",
        examples=["2026-01-01 12:00"],
    )
    given: dict[str, list[dict[str, Cell]]] = Field(
        description="The rows of each table. "
        "Times are `11:00` (of the day of `now`), `10m ago`, or in full.",
        examples=[{"app.people": [{"id": 1, "created_at": "11:00"}]}],
    )
    types: dict[str, dict[str, Type]] = Field(
        {},
        description="Types of columns, by table, where the values don't tell.",
        examples=[{"app.people": {"born": "date"}}],
    )
    past: Earlier | None = Field(
        None,
        description="What was measured before, for `steady`: "
        "a list, one a day until yesterday, or time → value.",
        examples=[[100, 102], {"7d ago": 100}],
    )
    violates: Expected = Field(
        description="The keys that it must find: `[2]`; of several columns `[[1, a]]` or "
        "`[{id: 1, kind: a}]`; `[]` for none. "
        "For rules about a table as a whole: `true`, `false`, or the words of what is wrong.",
        examples=[[2], [], True],
    )
    measured: int | float | None = Field(
        None, description="The value that it must measure.", examples=[1000]
    )


@dataclass(frozen=True, slots=True)
class Case:
    """One test of a rule, read and checked as far as no database is needed."""

    rule: str
    #: Its name, or its number among the tests of the rule; empty when there is only one.
    name: str
    #: Its path in the document.
    path: KeyPath
    #: Its place for people, as `rules.yaml:41`; and the parts of that.
    location: str
    file: str
    line: int
    #: The present, in the zone of the rule's source.
    now: datetime
    given: Mapping[TableName, Sequence[Row]]
    #: The name of each table in the document.
    named: Mapping[TableName, str]
    violates: bool | Sequence[Any]
    types: Mapping[TableName, Mapping[str, str]] = field(default_factory=dict)
    past: Measurements = ()
    measured: float | None = None

    @property
    def title(self) -> str:
        """Rule and name, as reports call it."""
        return f"{self.rule}: {self.name}" if self.name else self.rule

    @property
    def is_clean(self) -> bool:
        """Whether the rule must find nothing."""
        return not self.violates
