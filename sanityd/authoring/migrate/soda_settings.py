"""What both of Soda's languages have besides checks: variables, attributes, durations and types."""

import re
from collections.abc import Mapping
from typing import Any

from sanityd.authoring.migrate.import_result import ImportedRule, UnsupportedCheck
from sanityd.authoring.migrate.plain_data import read_mapping

TYPE_FAMILIES_NOTE = "Types are compared by family: `bigint` is an integer, `varchar` is text."
VARIABLE_NOTE = "A variable has the value that the file gives it."
_DURATION = re.compile(r"(?:[0-9]+[dhms])+")
_VARIABLE = re.compile(r"\$\{\s*(?:var\.)?(\w+)\s*\}")
_TYPE_PARAMETERS = re.compile(r"\s*\(.*\)")
_TYPE_FAMILIES = {
    "varchar": "text",
    "character varying": "text",
    "char": "text",
    "character": "text",
    "text": "text",
    "string": "text",
    "nvarchar": "text",
    "int": "integer",
    "integer": "integer",
    "bigint": "integer",
    "smallint": "integer",
    "tinyint": "integer",
    "int4": "integer",
    "int8": "integer",
    "int64": "integer",
    "decimal": "number",
    "numeric": "number",
    "number": "number",
    "double": "number",
    "double precision": "number",
    "float": "number",
    "real": "number",
    "float8": "number",
    "float64": "number",
    "bool": "boolean",
    "boolean": "boolean",
    "timestamptz": "timestamptz",
    "timestamp with time zone": "timestamptz",
    "timestamp_tz": "timestamptz",
    "timestamp": "timestamp",
    "datetime": "timestamp",
    "timestamp without time zone": "timestamp",
    "date": "date",
    "uuid": "uuid",
}


def read_duration(text: str) -> str:
    """Return a duration such as `1d6h` without blanks. Raises UnsupportedCheck for other text."""
    duration = text.replace(" ", "")
    if not _DURATION.fullmatch(duration):
        raise UnsupportedCheck(f"`{text}` is no length of time")
    return duration


def type_family(column_type: Any) -> str:
    """Return the type of a column as the check kind `columns` names it."""
    if column_type is None:
        return "any"
    name = str(column_type).strip().lower()
    return _TYPE_FAMILIES.get(_TYPE_PARAMETERS.sub("", name), name)


def has_variable(data: Any) -> bool:
    """Tell whether a piece of data has a variable (`${…}`)."""
    return "${" in str(data)


def fill_variables(data: Any, variables: Mapping[str, str]) -> Any:
    """Return a piece of data with its variables replaced by their values.

    Raises UnsupportedCheck for a variable that has no value.
    """
    if isinstance(data, dict):
        filled = {}
        for key, value in data.items():
            filled[fill_variables(key, variables)] = fill_variables(value, variables)
        return filled
    if isinstance(data, list):
        return [fill_variables(item, variables) for item in data]
    if not isinstance(data, str) or "${" not in data:
        return data
    text = _VARIABLE.sub(lambda match: variables.get(match[1], match[0]), data)
    if "${" in text:
        raise UnsupportedCheck("it has a variable (`${…}`), whose value is not in the file")
    return text


def with_attributes(rule: ImportedRule, attributes: Mapping[str, Any]) -> ImportedRule:
    """Return the rule with the owner and tags of a check's `attributes`, the others as a note."""
    owner = attributes.get("owner")
    tags = _tags(attributes.get("tags"))
    others = [
        f"{name}: {value}" for name, value in attributes.items() if name not in ("owner", "tags")
    ]
    if others:
        rule = rule.with_notes(f"Attributes: {', '.join(others)}.")
    return rule.with_keys(owner=owner if isinstance(owner, str) else None, tags=tags or None)


def _tags(tags: Any) -> list[str]:
    if isinstance(tags, list):
        return [str(tag) for tag in tags]
    if tags:
        return [str(tags)]
    return []


def check_attributes(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `attributes` of a check."""
    return read_mapping(body, "attributes")
