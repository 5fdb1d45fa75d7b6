"""The generic tests of the package dbt_expectations that have a counterpart, as rules."""

from dataclasses import replace
from typing import Any

from sanityd.authoring.migrate.dbt_arguments import (
    read_age,
    read_bounds,
    read_number_range,
    read_values,
)
from sanityd.authoring.migrate.dbt_expectations_of_tables import TABLE_EXPECTATIONS, aggregate_rule
from sanityd.authoring.migrate.dbt_generic_test import GenericTest, TestMapping
from sanityd.authoring.migrate.import_result import FailureUnit, ImportedRule, UnsupportedCheck
from sanityd.authoring.migrate.plain_data import read_number
from sanityd.authoring.migrate.sql_text import any_not_null, quote_name, quote_value
from sanityd.authoring.migrate.thresholds import range_of_comparison


def _rule(test: GenericTest, column: str, words: str, kind: str, options: Any) -> ImportedRule:
    """Return a rule about a column, restricted to the rows of `row_condition`."""
    return ImportedRule(test.title(column, words), kind, options, test.row_condition())


def _unique(test: GenericTest) -> list[ImportedRule]:
    column = test.tested_column()
    return [_rule(test, column, "is unique", "unique", column)]


def _not_null(test: GenericTest) -> list[ImportedRule]:
    column = test.tested_column()
    return [_rule(test, column, "is never null", "not_null", column)]


def _null(test: GenericTest) -> list[ImportedRule]:
    column = test.tested_column()
    condition = f"{quote_name(column)} is not null"
    return [_rule(test, column, "is always null", "never", condition)]


def _in_set(test: GenericTest) -> list[ImportedRule]:
    column = test.tested_column()
    options = {column: read_values(test, "value_set", "quote_values")}
    rule = _rule(test, column, "is in its set", "accepted_values", options)
    rule = rule.with_notes("A NULL is not in the set and violates, as in dbt_expectations.")
    return [rule.with_keys(nulls="fail")]


def _not_in_set(test: GenericTest) -> list[ImportedRule]:
    column = test.tested_column()
    options = {column: read_values(test, "value_set", "quote_values")}
    return [_rule(test, column, "is not in the set", "rejected_values", options)]


def _between(test: GenericTest) -> list[ImportedRule]:
    column = test.tested_column()
    bounds = read_bounds(test, strictly=_is_strict(test))
    if bounds.conditions:
        condition = " and ".join(bounds.conditions)
        return [_rule(test, column, "is in range", "always", condition)]
    return [_rule(test, column, "is in range", "between", {column: bounds.limits})]


def _lengths_between(test: GenericTest) -> list[ImportedRule]:
    column = test.tested_column()
    bounds = read_bounds(test, strictly=_is_strict(test))
    if bounds.conditions:
        raise UnsupportedCheck(f"`{bounds.conditions[0]}` is an expression, not a length")
    return [_rule(test, column, "has a right length", "length", {column: bounds.limits})]


def _is_strict(test: GenericTest) -> bool:
    """Tell whether the bounds themselves are not allowed."""
    return bool(test.argument("strictly", default=False))


def _length(test: GenericTest) -> list[ImportedRule]:
    column, length = test.tested_column(), test.number_argument("value")
    options = {column: {"min": length, "max": length}}
    return [_rule(test, column, f"has {length} characters", "length", options)]


def _regex(test: GenericTest) -> list[ImportedRule]:
    column, regex = _column_and_regex(test)
    return [_with_null_note(_rule(test, column, "has its form", "matches", _part(column, regex)))]


def _not_regex(test: GenericTest) -> list[ImportedRule]:
    column, regex = _column_and_regex(test)
    return [_rule(test, column, "has not the form", "not_matches", _part(column, regex))]


def _column_and_regex(test: GenericTest) -> tuple[str, str]:
    column, regex = test.tested_column(), str(test.required_argument("regex"))
    _refuse_flags(test)
    return column, regex


def _regex_list(test: GenericTest) -> list[ImportedRule]:
    column, regexes = test.tested_column(), test.required_argument("regex_list")
    _refuse_flags(test)
    if not isinstance(regexes, list) or str(test.argument("match_on", default="any")) != "any":
        raise UnsupportedCheck("`match_on: all` has no counterpart")
    alternatives = "|".join(f"({regex})" for regex in regexes)
    rule = _rule(test, column, "has one of its forms", "matches", _part(column, alternatives))
    return [_with_null_note(rule)]


def _refuse_flags(test: GenericTest) -> None:
    test.argument("is_raw")
    if test.argument("flags", default=""):
        raise UnsupportedCheck("`flags` of a regular expression differ between databases")


def _part(column: str, regex: str) -> dict[str, Any]:
    """Return the options for a regular expression that matches a part of the value."""
    return {"columns": {column: regex}, "part": True}


def _with_null_note(rule: ImportedRule) -> ImportedRule:
    return rule.with_notes(
        "A NULL passes; dbt_expectations fails it on PostgreSQL alone, as `nulls: fail` would."
    )


def _like(test: GenericTest) -> list[ImportedRule]:
    column = test.tested_column()
    return [_rule(test, column, "is like its pattern", "always", _like_condition(test, column))]


def _not_like(test: GenericTest) -> list[ImportedRule]:
    column = test.tested_column()
    return [_rule(test, column, "is not like the pattern", "never", _like_condition(test, column))]


def _like_condition(test: GenericTest, column: str) -> str:
    pattern = quote_value(str(test.required_argument("like_pattern")))
    return f"{quote_name(column)} like {pattern}"


def _increasing(test: GenericTest) -> list[ImportedRule]:
    column, partition = test.tested_column(), test.columns_argument("group_by")
    if test.argument("step") is not None:
        raise UnsupportedCheck("`step` has no counterpart")
    options: dict[str, Any] = {"column": column}
    if partition:
        options["per"] = partition
    options["order_by"] = column
    if test.argument("sort_column"):
        options["order_by"] = test.column_argument("sort_column")
    if test.argument("strictly", default=True):
        options["strictly"] = True
    rule = _rule(test, column, "never goes back", "increases", options)
    note = (
        "NULLs are passed over; "
        "in dbt_expectations the value after a NULL is compared with nothing."
    )
    return [rule.with_notes(note)]


def _aggregate_between(function: str, words: str) -> TestMapping:
    """Return the mapping of a test on an aggregate.

    Parameters: `function` is its SQL, with `{}` for the column.
    """

    def mapping(test: GenericTest) -> list[ImportedRule]:
        column = test.tested_column()
        allowed = read_number_range(test, strictly=_is_strict(test))
        expression = function.format(quote_name(column))
        return [aggregate_rule(test, expression, allowed, test.title(column, words))]

    return mapping


def _distinct_count(operator: str) -> TestMapping:
    """Return the mapping of a test that compares the number of distinct values."""

    def mapping(test: GenericTest) -> list[ImportedRule]:
        column = test.tested_column()
        allowed = range_of_comparison(operator, read_number(test.required_argument("value")))
        expression = f"count(distinct {quote_name(column)})"
        title = test.title(column, "has a right number of values")
        return [aggregate_rule(test, expression, allowed, title)]

    return mapping


def _recent(test: GenericTest) -> list[ImportedRule]:
    column = test.tested_column()
    age, note = read_age(test)
    rule = _rule(test, column, "is recent", "fresh", {column: age})
    rule = rule.with_notes(
        note, "Rows from the future don't count there either; here they violate, too."
    )
    return [replace(rule, failure_unit=FailureUnit.TABLE)]


def _pair_greater(test: GenericTest) -> list[ImportedRule]:
    operator = ">=" if test.argument("or_equal", default=False) else ">"
    return [_pair(test, operator, "is above")]


def _pair_equal(test: GenericTest) -> list[ImportedRule]:
    return [_pair(test, "=", "equals")]


def _pair(test: GenericTest, operator: str, words: str) -> ImportedRule:
    column, other_column = test.column_argument("column_A"), test.column_argument("column_B")
    condition = f"{quote_name(column)} {operator} {quote_name(other_column)}"
    return _rule(test, column, f"{words} {other_column}", "always", condition)


def _unique_columns(test: GenericTest) -> list[ImportedRule]:
    columns = test.columns_argument("column_list")
    ignored = str(test.argument("ignore_row_if", default="all_values_are_missing"))
    test.argument("quote_columns")
    title, keys = test.title(columns, "are unique"), test.row_condition()
    if ignored == "any_value_is_missing":
        return [ImportedRule(title, "unique", columns, keys)]
    if ignored != "all_values_are_missing":
        raise UnsupportedCheck(f"`ignore_row_if: {ignored}` has no counterpart")
    rule = ImportedRule(title, "unique", {"columns": columns, "nulls": "equal"}, keys)
    rule = rule.with_notes(
        "NULLs equal each other, but for rows that have nothing else, as in dbt_expectations."
    )
    return [rule.with_keys(where=any_not_null(columns))]


def _exists(test: GenericTest) -> list[ImportedRule]:
    column = test.tested_column()
    if test.argument("column_index") is not None:
        raise UnsupportedCheck("`column_index`: the order of columns is not checked")
    test.argument("transform")
    title = test.title(column, "is there")
    return [ImportedRule(title, "columns", {column: "any"}, failure_unit=FailureUnit.TABLE)]


def _type(test: GenericTest) -> list[ImportedRule]:
    column, column_type = test.tested_column(), test.argument("column_type")
    types = [column_type] if column_type else test.required_argument("column_type_list")
    if not isinstance(types, list) or len(types) != 1:
        raise UnsupportedCheck("`columns` knows one type for a column, not several")
    options = {column: str(types[0]).lower()}
    title = test.title(column, f"is {types[0]}")
    return [ImportedRule(title, "columns", options, failure_unit=FailureUnit.TABLE)]


#: The mapping of each test by its name, without the package.
_COLUMN_EXPECTATIONS: dict[str, TestMapping] = {
    "expect_column_distinct_count_to_be_greater_than": _distinct_count(">"),
    "expect_column_distinct_count_to_be_less_than": _distinct_count("<"),
    "expect_column_distinct_count_to_equal": _distinct_count("="),
    "expect_column_distinct_values_to_be_in_set": _in_set,
    "expect_column_max_to_be_between": _aggregate_between("max({})", "has a right maximum"),
    "expect_column_mean_to_be_between": _aggregate_between("avg({})", "has a right mean"),
    "expect_column_min_to_be_between": _aggregate_between("min({})", "has a right minimum"),
    "expect_column_pair_values_A_to_be_greater_than_B": _pair_greater,
    "expect_column_pair_values_to_be_equal": _pair_equal,
    "expect_column_stdev_to_be_between": _aggregate_between(
        "stddev_samp({})", "has a right deviation"
    ),
    "expect_column_sum_to_be_between": _aggregate_between("sum({})", "has a right sum"),
    "expect_column_to_exist": _exists,
    "expect_column_unique_value_count_to_be_between": _aggregate_between(
        "count(distinct {})", "has a right number of values"
    ),
    "expect_column_value_lengths_to_be_between": _lengths_between,
    "expect_column_value_lengths_to_equal": _length,
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_be_in_set": _in_set,
    "expect_column_values_to_be_in_type_list": _type,
    "expect_column_values_to_be_increasing": _increasing,
    "expect_column_values_to_be_null": _null,
    "expect_column_values_to_be_of_type": _type,
    "expect_column_values_to_be_unique": _unique,
    "expect_column_values_to_match_like_pattern": _like,
    "expect_column_values_to_match_regex": _regex,
    "expect_column_values_to_match_regex_list": _regex_list,
    "expect_column_values_to_not_be_in_set": _not_in_set,
    "expect_column_values_to_not_be_null": _not_null,
    "expect_column_values_to_not_match_like_pattern": _not_like,
    "expect_column_values_to_not_match_regex": _not_regex,
    "expect_compound_columns_to_be_unique": _unique_columns,
    "expect_row_values_to_have_recent_data": _recent,
}

#: The mapping of each test by its name, with the package.
EXPECTATIONS: dict[str, TestMapping] = {
    f"dbt_expectations.{name}": mapping
    for name, mapping in {**_COLUMN_EXPECTATIONS, **TABLE_EXPECTATIONS}.items()
}
