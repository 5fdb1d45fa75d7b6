"""Rules that values are not missing, and are valid: what SodaCL and both kinds of contracts share.

The settings have the names that SodaCL gives them, such as `missing values` and `valid regex`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sanityd.authoring.migrate.import_result import ImportedRule, UnsupportedCheck
from sanityd.authoring.migrate.plain_data import is_value_list, read_number
from sanityd.authoring.migrate.sql_text import quote_name, quote_values

#: Soda's formats for which there is a format of sanityd or a short regular expression.
_FORMATS = {
    "email": "email",
    "uuid": "uuid",
    "integer": "[-+]?[0-9]+",
    "positive integer": r"\+?[0-9]+",
    "negative integer": "-[0-9]+",
}


def missing_rules(column: str, table: str, settings: Mapping[str, Any]) -> list[ImportedRule]:
    """Return the rules that a column has a value: neither NULL nor one that counts as missing."""
    title = f"{column} of {table} is never missing"
    if settings.get("missing format"):
        raise UnsupportedCheck("`missing format` has no counterpart")
    if missing_values := settings.get("missing values"):
        name = quote_name(column)
        values = quote_values(_read_values(missing_values))
        rules = [ImportedRule(title, "never", f"{name} is null or {name} in ({values})")]
    else:
        rules = [ImportedRule(title, "not_null", column)]
    if regex := settings.get("missing regex"):
        options = _regex_options(column, regex)
        rules.append(ImportedRule(f"{title} as text", "not_matches", options))
    return rules


def invalid_rules(column: str, table: str, settings: Mapping[str, Any]) -> list[ImportedRule]:
    """Return a rule for each condition on valid values.

    A missing value is not invalid: NULL passes, in the other tool as in sanityd.
    """
    if settings.get("missing format") or settings.get("missing regex"):
        raise UnsupportedCheck(
            "`missing format` and `missing regex` beside conditions on valid values "
            "have no counterpart"
        )
    rules = [
        *_value_rules(column, table, settings),
        *_valid_form_rules(column, table, settings),
        *_invalid_form_rules(column, table, settings),
        *_size_rules(column, table, settings),
    ]
    if not rules:
        raise UnsupportedCheck("it says nothing about which values are valid")
    missing_values = settings.get("missing values")
    if missing_values:
        condition = f"{quote_name(column)} not in ({quote_values(_read_values(missing_values))})"
        note = "Missing values are not invalid."
        rules = [rule.with_notes(note).with_keys(where=condition) for rule in rules]
    if settings.get("include null"):
        if missing_values:
            raise UnsupportedCheck("`include null` beside `missing values` has no counterpart")
        first = rules[0].with_notes("`include null`: a NULL violates.")
        rules[0] = first.with_keys(nulls="fail")
    return rules


def _value_rules(column: str, table: str, settings: Mapping[str, Any]) -> Iterator[ImportedRule]:
    valid_values = settings.get("valid values")
    if valid_values is not None:
        options = {column: _read_values(valid_values)}
        yield ImportedRule(f"{column} of {table} is valid", "accepted_values", options)
    invalid_values = settings.get("invalid values")
    if invalid_values is not None:
        options = {column: _read_values(invalid_values)}
        yield ImportedRule(f"{column} of {table} is not invalid", "rejected_values", options)


def _valid_form_rules(
    column: str, table: str, settings: Mapping[str, Any]
) -> Iterator[ImportedRule]:
    title = f"{column} of {table} has its form"
    for setting in ("valid regex", "valid format"):
        form = settings.get(setting)
        if form is None:
            continue
        regex = _regex_of(setting, form)
        if regex is not None:
            yield ImportedRule(title, "matches", _regex_options(column, regex))
            continue
        if str(form) not in _FORMATS:
            raise UnsupportedCheck(f"the format `{form}` has no counterpart")
        rule = ImportedRule(title, "matches", {column: _FORMATS[str(form)]})
        yield rule.with_notes(f"sanityd's own form of `{form}`, not Soda's.")


def _invalid_form_rules(
    column: str, table: str, settings: Mapping[str, Any]
) -> Iterator[ImportedRule]:
    title = f"{column} of {table} has not the form"
    for setting in ("invalid regex", "invalid format"):
        form = settings.get(setting)
        if form is None:
            continue
        regex = _regex_of(setting, form)
        if regex is None:
            raise UnsupportedCheck(f"the format `{form}` has no counterpart")
        yield ImportedRule(title, "not_matches", _regex_options(column, regex))


def _regex_of(setting: str, form: Any) -> Any:
    """Return the regular expression of a form; None when it is the name of a format."""
    if isinstance(form, dict):
        return form.get("regex")
    if setting.endswith("regex"):
        return form
    return None


def _regex_options(column: str, regex: Any) -> dict[str, Any]:
    return {"columns": {column: str(regex)}, "part": True}


def _size_rules(column: str, table: str, settings: Mapping[str, Any]) -> Iterator[ImportedRule]:
    limits = _limits(settings.get("valid min"), settings.get("valid max"))
    if limits:
        yield ImportedRule(f"{column} of {table} is in range", "between", {column: limits})
    length = settings.get("valid length")
    if length is None:
        lengths = _limits(settings.get("valid min length"), settings.get("valid max length"))
    else:
        lengths = _limits(length, length)
    if lengths:
        yield ImportedRule(f"{column} of {table} has a right length", "length", {column: lengths})


def _limits(low: Any, high: Any) -> dict[str, Any]:
    limits = {}
    if low is not None:
        limits["min"] = _read_limit(low)
    if high is not None:
        limits["max"] = _read_limit(high)
    return limits


def _read_limit(value: Any) -> Any:
    """Return a limit as a number where it is one, else as text such as a date."""
    try:
        return read_number(value)
    except UnsupportedCheck:
        return str(value)


def _read_values(value: Any) -> list[Any]:
    if not is_value_list(value):
        raise UnsupportedCheck(f"`{value}` is no list of values")
    values: list[Any] = value
    return values
