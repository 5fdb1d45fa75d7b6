"""What Soda's languages and data contracts share: what is missing, what is invalid, thresholds that warn or fail."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sanityd.authoring.migrate import spans
from sanityd.authoring.migrate.draft import ROWS, Draft, Unmappable, literal, quoted
from sanityd.authoring.migrate.spans import Span

#: Soda's formats whose meaning one of ours, or a short regular expression, has.
_FORMATS = {
    "email": "email",
    "uuid": "uuid",
    "integer": "[-+]?[0-9]+",
    "positive integer": r"\+?[0-9]+",
    "negative integer": "-[0-9]+",
}
_DURATION = re.compile(r"(?:[0-9]+[dhms])+")
_VARIABLE = re.compile(r"\$\{\s*(?:var\.)?(\w+)\s*\}")
_TYPES = {
    **dict.fromkeys(
        ("varchar", "character varying", "char", "character", "text", "string", "nvarchar"), "text"
    ),
    **dict.fromkeys(
        ("int", "integer", "bigint", "smallint", "tinyint", "int4", "int8", "int64"), "integer"
    ),
    **dict.fromkeys(
        (
            "decimal",
            "numeric",
            "number",
            "double",
            "double precision",
            "float",
            "real",
            "float8",
            "float64",
        ),
        "number",
    ),
    **dict.fromkeys(("bool", "boolean"), "boolean"),
    **dict.fromkeys(("timestamptz", "timestamp with time zone", "timestamp_tz"), "timestamptz"),
    **dict.fromkeys(("timestamp", "datetime", "timestamp without time zone"), "timestamp"),
    "date": "date",
    "uuid": "uuid",
}
FAMILIES = "Types are compared by family: `bigint` is an integer, `varchar` is text."


@dataclass(frozen=True, slots=True)
class Level:
    """A threshold: the values that are right, and how bad others are (None: as usual)."""

    right: Span
    severity: str | None = None


def missing(name: str, noun: str, config: Mapping[str, Any]) -> list[Draft]:
    """The rules that a column has a value. Values that count as missing come with NULL."""
    says = f"{name} of {noun} is never missing"
    if config.get("missing format"):
        raise Unmappable("`missing format` has no counterpart")
    if regex := config.get("missing regex"):
        wrong = Draft(
            f"{says} as text", "not_matches", {"columns": {name: str(regex)}, "part": True}
        )
        return [*missing(name, noun, {**config, "missing regex": None}), wrong]
    if listed := config.get("missing values"):
        words = ", ".join(map(literal, _plain_list(listed)))
        column = quoted(name)
        return [Draft(says, "never", f"{column} is null or {column} in ({words})")]
    return [Draft(says, "not_null", name)]


def invalid(name: str, noun: str, config: Mapping[str, Any]) -> list[Draft]:
    """A rule for each condition on valid values. What is missing is not invalid: NULL passes, there and here."""
    if config.get("missing format") or config.get("missing regex"):
        raise Unmappable(
            "`missing format` and `missing regex` beside conditions on valid values have no counterpart"
        )
    drafts = [
        *_by_values(name, noun, config),
        *_by_form(name, noun, config),
        *_by_size(name, noun, config),
    ]
    if not drafts:
        raise Unmappable("it says nothing about which values are valid")
    if listed := config.get("missing values"):
        words = ", ".join(map(literal, _plain_list(listed)))
        note = "Missing values are not invalid."
        drafts = [draft.having(note, where=f"{quoted(name)} not in ({words})") for draft in drafts]
    if config.get("include null"):
        if listed:
            raise Unmappable("`include null` beside `missing values` has no counterpart")
        drafts[0] = drafts[0].having("`include null`: a NULL violates.", nulls="fail")
    return drafts


def _by_values(name: str, noun: str, config: Mapping[str, Any]) -> Iterable[Draft]:
    if (listed := config.get("valid values")) is not None:
        yield Draft(f"{name} of {noun} is valid", "accepted_values", {name: _plain_list(listed)})
    if (listed := config.get("invalid values")) is not None:
        yield Draft(
            f"{name} of {noun} is not invalid", "rejected_values", {name: _plain_list(listed)}
        )


def _by_form(name: str, noun: str, config: Mapping[str, Any]) -> Iterable[Draft]:
    says = f"{name} of {noun} has its form"
    for key, kind in (("regex", "matches"), ("format", "matches")):
        if (form := config.get(f"valid {key}")) is None:
            continue
        regex = form.get("regex") if isinstance(form, dict) else form if key == "regex" else None
        if regex is not None:
            yield Draft(says, kind, {"columns": {name: str(regex)}, "part": True})
        elif (known := _FORMATS.get(str(form))) is not None:
            yield Draft(
                says, kind, {name: known}, notes=(f"sanityd's own form of `{form}`, not Soda's.",)
            )
        else:
            raise Unmappable(f"the format `{form}` has no counterpart")
    for key in ("regex", "format"):
        if (form := config.get(f"invalid {key}")) is None:
            continue
        regex = form.get("regex") if isinstance(form, dict) else form if key == "regex" else None
        if regex is None:
            raise Unmappable(f"the format `{form}` has no counterpart")
        options = {"columns": {name: str(regex)}, "part": True}
        yield Draft(f"{name} of {noun} has not the form", "not_matches", options)


def _by_size(name: str, noun: str, config: Mapping[str, Any]) -> Iterable[Draft]:
    for kind, says, prefix, suffix in (
        ("between", "is in range", "valid", ""),
        ("length", "has a right length", "valid", " length"),
    ):
        low, high = config.get(f"{prefix} min{suffix}"), config.get(f"{prefix} max{suffix}")
        if kind == "length" and config.get("valid length") is not None:
            low = high = config["valid length"]
        limits = {
            word: _size(value) for word, value in (("min", low), ("max", high)) if value is not None
        }
        if limits:
            yield Draft(f"{name} of {noun} {says}", kind, {name: limits})


def _size(value: Any) -> Any:
    """A bound: a number where it is one, else text such as a date."""
    try:
        return spans.number(value)
    except Unmappable:
        return str(value)


def _plain_list(value: Any) -> list[Any]:
    if not isinstance(value, list) or any(
        isinstance(one, list | dict) or one is None for one in value
    ):
        raise Unmappable(f"`{value}` is no list of values")
    return value


def counted(
    drafts: list[Draft], levels: Sequence[Level], *, percent: bool, rounded: bool = False
) -> list[Draft]:
    """The rules with the thresholds on their violations as a ladder. Raises Unmappable for other thresholds."""
    ladder: dict[str, Any] = {}
    notes: list[str] = []
    for level in sorted(levels, key=lambda one: one.severity != "warning"):
        start, note = _start(_open_upwards(level, levels), percent=percent)
        ladder[level.severity or "error"] = start
        notes.append(note)
    if ladder.get("warning") == ladder.get("error"):
        ladder.pop("warning", None)
    numbers = [start for start in ladder.values() if isinstance(start, int)]
    if len(numbers) == 2 and numbers[0] > numbers[1]:
        del ladder["warning"]
    plain = all(start == 1 for start in ladder.values())
    if not plain and len(drafts) > 1:
        raise Unmappable("several conditions share one threshold: each is a rule of its own here")
    if any(isinstance(start, str) for start in ladder.values()):
        if any(draft.kind == "unique" for draft in drafts):
            raise Unmappable("a share of duplicates is one of values there, and one of rows here")
        notes.append(
            "Soda rounds the share to two decimals, sanityd compares it exactly." if rounded else ""
        )
    words = list(ladder)
    severity = (None if words == ["error"] else words[0]) if plain and len(words) == 1 else ladder
    return [draft.having(*notes, severity=severity) for draft in drafts]


def _open_upwards(level: Level, levels: Sequence[Level]) -> Span:
    """`warn: when between 1 and 10` beside `fail: when > 10` warns from 1 on; the rest is worse, not right."""
    right = level.right
    bad = right.inverse()
    others = [one.right for one in levels if one is not level]
    if right.outside and any(
        one.high is not None and bad.high is not None and one.high <= bad.high for one in others
    ):
        return Span(high=bad.low, high_open=not bad.low_open)
    return right


def _start(right: Span, *, percent: bool) -> tuple[Any, str]:
    """From which count or share of violations on a threshold is passed."""
    if not percent:
        if (first := right.first_too_many()) is None:
            raise Unmappable(
                "its threshold asks for rows that are wrong: sanityd counts those that break the rule"
            )
        return first, ""
    if right.outside or right.high is None or right.low not in (None, 0):
        raise Unmappable(
            "its threshold asks for rows that are wrong: sanityd counts those that break the rule"
        )
    if right.high == 0:
        return 1, ""
    note = "" if right.high_open else f"Exactly {right.high} % is too much here, and not yet there."
    return f"{right.high}%", note


def measured(expression: str, says: str, levels: Sequence[Level]) -> list[Draft]:
    """A rule for each threshold on a value of the whole table. A value that is NULL passes."""
    return [
        Draft(_at(says, level), "aggregate", spans.aggregate(expression, level.right), _keys(level))
        for level in levels
    ]


def row_count(noun: str, levels: Sequence[Level]) -> list[Draft]:
    """A rule for each threshold on the number of rows."""
    drafts = []
    for level in levels:
        kind, options = spans.row_count(level.right)
        drafts.append(
            Draft(_at(f"{noun} has a right number of rows", level), kind, options, _keys(level))
        )
    return drafts


def queried(query: str, says: str, levels: Sequence[Level], source: str) -> list[Draft]:
    """A rule for each threshold on the only value that a query returns."""
    drafts = []
    for level in levels:
        sql, keys = spans.scalar_query(query, level.right)
        drafts.append(
            Draft(
                _at(says, level),
                "query",
                sql,
                {"source": source, **keys, **_keys(level)},
                counted=ROWS,
            )
        )
    return drafts


def fresh(name: str, noun: str, limits: Sequence[tuple[str, str | None]]) -> list[Draft]:
    """A rule for each age that the newest row may have. No rows violate there and here."""
    note = "Rows from the future hide nothing here, and violate."
    return [
        Draft(
            f"{noun} is younger than {age}",
            "fresh",
            {name: age},
            {"severity": severity} if severity else {},
            (note,),
        )
        for age, severity in limits
    ]


def duration(text: str) -> str:
    """A length of time such as `1d6h`. Raises Unmappable for anything else."""
    words = text.replace(" ", "")
    if not _DURATION.fullmatch(words):
        raise Unmappable(f"`{text}` is no length of time")
    return words


def column_type(word: Any) -> str:
    """The type of a column as `columns` knows it."""
    if word is None:
        return "any"
    whole = str(word).strip().lower()
    return _TYPES.get(re.sub(r"\s*\(.*\)", "", whole), whole)


def _keys(level: Level) -> dict[str, Any]:
    return {"severity": level.severity} if level.severity else {}


def _at(says: str, level: Level) -> str:
    return f"{says} or warns" if level.severity else says


def mapping(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The mapping under a name; empty where there is none. Raises Unmappable for anything else."""
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise Unmappable(f"`{name}` is no mapping")
    return value or {}


def filled(value: Any, variables: Mapping[str, str]) -> Any:
    """A piece of data with its variables replaced by the values that the file gives them.

    Raises Unmappable for a variable that the file gives none.
    """
    if isinstance(value, dict):
        return {filled(key, variables): filled(one, variables) for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one, variables) for one in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    text = _VARIABLE.sub(lambda found: variables.get(found[1], found[0]), value)
    if "${" in text:
        raise Unmappable("it has a variable (`${…}`), whose value is not in the file")
    return text


#: Said of a check that has a variable.
FILLED = "A variable has the value that the file gives it."


def attributes(found: Mapping[str, Any]) -> tuple[str | None, list[str], str]:
    """The owner and the tags among the attributes of a check, and the others as a note."""
    owner = found.get("owner") if isinstance(found.get("owner"), str) else None
    tags = found.get("tags")
    listed = [str(tag) for tag in tags] if isinstance(tags, list) else [str(tags)] if tags else []
    others = ", ".join(
        f"{key}: {value}" for key, value in found.items() if key not in ("owner", "tags")
    )
    return owner, listed, f"Attributes: {others}." if others else ""
