"""A remedy and the rows of one request → the exact request. Pure.

Only the values of the key and of the columns under `show` can be in it.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from sanityd.errors import SanitydError
from sanityd.model.remedies import RemedyRow, StoredRemedy
from sanityd.model.runs import Value
from sanityd.rules.remedy_spec import PLACEHOLDER, CommandSpec, HttpSpec, RemedySpec, of_row

#: The largest whole number that every reader of JSON takes exactly.
_LARGEST_EXACT = 2**53
_MASKED = "***"


class RemedyValueError(SanitydError):
    """Error of a row whose values can't be put into the request. It names the column only."""

    hint = "Repair it by hand, or name another column in `remedy`."


@dataclass(frozen=True, slots=True)
class Request:
    """One request, ready to be sent. A command has `arguments`, an HTTP request the rest."""

    id: str
    rule: str
    method: str = ""
    url: str = ""
    headers: Mapping[str, str] | None = None
    body: bytes | None = None
    arguments: tuple[str, ...] = ()


def used_columns(spec: RemedySpec) -> set[tuple[str, str]]:
    """Return the columns of a row that a request contains: `key` or `show`, and the name."""
    action = spec.command or spec.http
    if action is None:
        return set()
    columns = set()
    for placeholder in of_row(action.model_dump()):
        group, _, column = placeholder.strip("{}").partition(".")
        columns.add((group, column))
    return columns


def to_be_stored(spec: RemedySpec, remedy: StoredRemedy) -> StoredRemedy:
    """Return a request with only those values of its rows that it contains."""
    used = used_columns(spec)
    rows = []
    for row in remedy.rows:
        key = {name: value for name, value in row.key.items() if ("key", name) in used}
        shown = {name: value for name, value in row.shown.items() if ("show", name) in used}
        rows.append(replace(row, key=key, shown=shown))
    return replace(remedy, rows=tuple(rows))


def build(spec: RemedySpec, remedy: StoredRemedy) -> Request:
    """Return the request for the rows of a remedy. Raises RemedyValueError."""
    if spec.command is not None:
        return Request(remedy.id, remedy.rule, arguments=_arguments(spec.command, remedy))
    if spec.http is None:
        raise RemedyValueError(f"the remedy of `{remedy.rule}` has no request")
    return _http_request(spec.http, remedy)


def as_text(spec: RemedySpec, remedy: StoredRemedy) -> str:
    """Return the request for people to read, with its headers masked.

    Parameters: `spec` is the remedy as written, in which variables are not filled in. Raises
    RemedyValueError.
    """
    request = build(spec, remedy)
    if request.arguments:
        words = " ".join(json.dumps(argument) for argument in request.arguments)
        return f"{words}\n  SANITYD_REQUEST_ID={request.id}"
    lines = [f"{request.method} {request.url}"]
    own_headers = spec.http.headers if spec.http is not None else {}
    for name, text in (request.headers or {}).items():
        shown = _MASKED if name in own_headers else text
        lines.append(f"{name}: {shown}")
    if request.body is not None:
        lines.append(request.body.decode())
    return "\n  ".join(lines)


def _http_request(spec: HttpSpec, remedy: StoredRemedy) -> Request:
    headers = {**spec.headers, "Idempotency-Key": remedy.id}
    body = None
    if spec.body is not None:
        content = _json(spec.body, remedy, None)
        body = json.dumps(content, ensure_ascii=True).encode()
        headers["Content-Type"] = "application/json"
    url = _filled(spec.url, remedy, remedy.rows[0], in_url=True)
    return Request(remedy.id, remedy.rule, spec.method, url, headers, body)


def _arguments(spec: CommandSpec, remedy: StoredRemedy) -> tuple[str, ...]:
    """Return the arguments; one with a value of a row is repeated for each row."""
    arguments = []
    for text in spec.run:
        rows = remedy.rows if of_row(text) else remedy.rows[:1]
        for row in rows:
            argument = _filled(text, remedy, row)
            if argument.startswith("-") and not text.startswith("-"):
                raise RemedyValueError(
                    f"`{text}` begins with `-` for a row, which a program takes for an option",
                    "Write the name of the option before it, as in `--id={key.id}`.",
                )
            if "\0" in argument:
                raise RemedyValueError(f"`{text}` has a zero byte for a row")
            arguments.append(argument)
    return tuple(arguments)


def _json(template: Any, remedy: StoredRemedy, row: RemedyRow | None) -> Any:
    """Return a piece of the body.

    A list of one item that has a value of a row is repeated for each row.
    """
    if isinstance(template, dict):
        return {name: _json(item, remedy, row) for name, item in template.items()}
    if isinstance(template, list):
        return _json_list(template, remedy, row)
    if not isinstance(template, str):
        return template
    some_row = row or remedy.rows[0]
    whole = PLACEHOLDER.fullmatch(template)
    if whole is not None and whole[1]:
        return _json_value(template, _value(template, whole[1], whole[2], some_row))
    return _filled(template, remedy, some_row)


def _json_list(template: list[Any], remedy: StoredRemedy, row: RemedyRow | None) -> list[Any]:
    if row is None and len(template) == 1 and of_row(template):
        return [_json(template[0], remedy, each) for each in remedy.rows]
    return [_json(item, remedy, row) for item in template]


def _filled(text: str, remedy: StoredRemedy, row: RemedyRow, *, in_url: bool = False) -> str:
    """Return a text with its placeholders replaced."""
    parts = []
    end = 0
    for match in PLACEHOLDER.finditer(text):
        parts.append(text[end : match.start()])
        parts.append(_placeholder_text(match[0], remedy, row, in_url=in_url))
        end = match.end()
    parts.append(text[end:])
    return "".join(parts)


def _placeholder_text(
    placeholder: str, remedy: StoredRemedy, row: RemedyRow, *, in_url: bool
) -> str:
    if placeholder == "{id}":
        return remedy.id
    if placeholder == "{rule}":
        return remedy.rule
    group, _, column = placeholder.strip("{}").partition(".")
    value = _value(placeholder, group, column, row)
    if value is None:
        raise RemedyValueError(f"`{placeholder}` is NULL for a row")
    text = _text(value)
    if not in_url:
        return text
    if text in ("", ".", ".."):
        raise RemedyValueError(f"`{placeholder}` would change the path of the URL for a row")
    return quote(text, safe="", errors="surrogateescape")


def _value(placeholder: str, group: str, column: str, row: RemedyRow) -> Value:
    values = row.key if group == "key" else row.shown
    if column not in values:
        columns = ", ".join(f"`{name}`" for name in values) or "none"
        raise RemedyValueError(
            f"`{placeholder}` is no column of the violations of this rule",
            f"Its columns under `{group}`: {columns}.",
        )
    return values[column]


def _json_value(placeholder: str, value: Value) -> object:
    """Return a value as JSON has it: numbers and truth values as such, the rest as text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) <= _LARGEST_EXACT:
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise RemedyValueError(f"`{placeholder}` is not a finite number for a row")
        return value
    return _text(value)


def _text(value: Value) -> str:
    match value:
        case bool():
            return str(value).lower()
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case bytes():
            return value.hex()
        case _:
            return str(value)
