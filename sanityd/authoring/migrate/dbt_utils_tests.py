"""The generic tests of the package dbt_utils, as rules."""

from collections.abc import Mapping
from dataclasses import replace

from sanityd.authoring.migrate.dbt_arguments import read_age, read_bounds, read_values
from sanityd.authoring.migrate.dbt_core_tests import relationships
from sanityd.authoring.migrate.dbt_generic_test import GenericTest, TestMapping
from sanityd.authoring.migrate.dbt_relations import read_column_name
from sanityd.authoring.migrate.import_result import FailureUnit, ImportedRule, UnsupportedCheck
from sanityd.authoring.migrate.plain_data import single_or_list
from sanityd.authoring.migrate.query_key import KEY_CHOSEN_NOTE
from sanityd.authoring.migrate.sql_text import quote_name, quote_names

#: A condition that dbt_utils has as its default.
_ALWAYS_TRUE = "1=1"
#: How the begin of a range may compare with the end of the one before, by the argument `gaps`.
_OPERATOR_OF_GAPS = {"allowed": ">=", "not_allowed": "=", "required": ">"}


def not_accepted_values(test: GenericTest) -> list[ImportedRule]:
    """Map `not_accepted_values`. NULL passes in both."""
    column = test.tested_column()
    options = {column: read_values(test, "values", "quote")}
    title = test.title(column, "is no rejected value")
    return [ImportedRule(title, "rejected_values", options, failure_unit=FailureUnit.VALUES)]


def relationships_where(test: GenericTest) -> list[ImportedRule]:
    """Map `relationships_where`: `relationships` with a condition on either table."""
    [rule] = relationships(test)
    condition = test.argument("from_condition")
    other_condition = test.argument("to_condition")
    if other_condition and other_condition != _ALWAYS_TRUE:
        rule = replace(rule, options={"columns": rule.options, "where": other_condition})
    if condition and condition != _ALWAYS_TRUE:
        rule = rule.with_keys(where=condition)
    return [rule]


def expression_is_true(test: GenericTest) -> list[ImportedRule]:
    """Map `expression_is_true`. What is unknown passes in both, so that NULL does."""
    expression = str(test.required_argument("expression")).strip()
    words = f"obeys {expression}"
    if test.column is None:
        condition, title = expression, f"{test.table.short_name} {words}"
    else:
        condition = f"{quote_name(test.tested_column())} {expression}"
        title = test.title(test.column, words)
    rule = ImportedRule(title[:80], "always", condition)
    return [rule.with_keys(where=test.argument("condition"))]


def unique_combination_of_columns(test: GenericTest) -> list[ImportedRule]:
    """Map `unique_combination_of_columns`. NULLs equal each other in both."""
    columns = test.columns_argument("combination_of_columns")
    test.argument("quote_columns")
    title, options = test.title(columns, "are unique"), {"columns": columns, "nulls": "equal"}
    note = "NULLs equal each other, as in dbt_utils."
    return [ImportedRule(title, "unique", options, notes=(note,))]


def not_null_proportion(test: GenericTest) -> list[ImportedRule]:
    """Map `not_null_proportion`. A table without rows passes in both."""
    column = test.tested_column()
    low, high = test.number_argument("at_least"), test.number_argument("at_most")
    if low is None and high is None:
        raise UnsupportedCheck("it has no bound")
    expression = f"avg(case when {quote_name(column)} is null then 0.0 else 1.0 end)"
    options = {"expr": expression, "min": low, "max": high}
    options = {key: value for key, value in options.items() if value is not None}
    return [_aggregate(test, test.title(column, "is often enough not null"), options)]


def at_least_one(test: GenericTest) -> list[ImportedRule]:
    """Map `at_least_one`. A table without rows violates the rule in both."""
    column = test.tested_column()
    options = {"expr": f"count({quote_name(column)})", "min": 1}
    rule = _aggregate(test, test.title(column, "has a value somewhere"), options)
    if "by" in rule.options:
        rule = rule.with_notes(
            "Each group is checked; dbt_utils checks one row at most, and passes all groups."
        )
    return [rule]


def not_constant(test: GenericTest) -> list[ImportedRule]:
    """Map `not_constant`. A column of NULLs alone has no value, and passes in both."""
    column = test.tested_column()
    expression = f"case when count(distinct {quote_name(column)}) = 1 then 1 else 0 end"
    options = {"expr": expression, "equals": 0}
    return [_aggregate(test, test.title(column, "is not constant"), options)]


def not_empty_string(test: GenericTest) -> list[ImportedRule]:
    """Map `not_empty_string`: text that is empty, or of blanks. NULL passes in both."""
    column = test.tested_column()
    text = quote_name(column)
    if test.argument("trim_whitespace", default=True) not in (False, "false"):
        text = f"trim({text})"
    return [ImportedRule(test.title(column, "is never empty"), "never", f"{text} = ''")]


def accepted_range(test: GenericTest) -> list[ImportedRule]:
    """Map `accepted_range`. NULL passes in both."""
    column = test.tested_column()
    bounds = read_bounds(test, strictly=not test.argument("inclusive", default=True))
    title = test.title(column, "is in range")
    if bounds.conditions:
        return [ImportedRule(title, "always", " and ".join(bounds.conditions))]
    return [ImportedRule(title, "between", {column: bounds.limits})]


def recency(test: GenericTest) -> list[ImportedRule]:
    """Map `recency`: the newest value is young enough. A table without rows passes in dbt."""
    column = test.column_argument("field")
    if test.columns_argument("group_by_columns"):
        raise UnsupportedCheck("`fresh` is about the whole table, not about each group")
    if test.argument("ignore_time_component", default=False):
        raise UnsupportedCheck("`ignore_time_component` compares days, `fresh` times")
    age, note = read_age(test)
    rule = ImportedRule(
        test.title(column, "is recent"),
        "fresh",
        {column: age},
        {"when_empty": "pass"},
        failure_unit=FailureUnit.TABLE,
    )
    empty_note = (
        "No rows pass, as in dbt_utils; "
        "rows with no date at all, and rows from the future, violate here."
    )
    return [rule.with_notes(note, empty_note)]


def equal_rowcount(test: GenericTest) -> list[ImportedRule]:
    """Map `equal_rowcount`: two tables have the same number of rows."""
    other_table = test.relation_argument("compare_model")
    _refuse_groups(test)
    title = f"{test.table.short_name} has as many rows as {other_table.short_name}"
    options = {"equals": other_table.name}
    return [ImportedRule(title, "row_count", options, failure_unit=FailureUnit.TABLE)]


def fewer_rows_than(test: GenericTest) -> list[ImportedRule]:
    """Map `fewer_rows_than`. An equal number of rows violates the rule in both."""
    other_table = test.relation_argument("compare_model")
    _refuse_groups(test)
    title = f"{test.table.short_name} has fewer rows than {other_table.short_name}"
    options = {"expr": f"count(*) - (select count(*) from {other_table.sql})", "below": 0}
    return [ImportedRule(title, "aggregate", options, failure_unit=FailureUnit.TABLE)]


def equality(test: GenericTest) -> list[ImportedRule]:
    """Map `equality`: each row of one table is in the other. NULLs equal each other."""
    columns = test.columns_argument("compare_columns")
    other_table = test.relation_argument("compare_model")
    if test.columns_argument("exclude_columns") or not columns:
        raise UnsupportedCheck(
            "which columns the tables have is not in the file: name them in `compare_columns`"
        )
    listed = quote_names(columns)
    query = _difference_query(
        listed,
        f"select {listed} from {test.filtered_table()}",
        f"select {listed} from {other_table.sql}",
    )
    title = f"{test.table.short_name} equals {other_table.short_name}"
    return [_query_rule(title, query, columns)]


def cardinality_equality(test: GenericTest) -> list[ImportedRule]:
    """Map `cardinality_equality`: each value, NULL too, occurs as often in both tables."""
    column, other_table = test.tested_column(), test.relation_argument("to")
    other_column = test.column_argument("field")
    query = _difference_query(
        "value, number_of_rows",
        _rows_by_value(column, test.filtered_table()),
        _rows_by_value(other_column, other_table.sql),
    )
    title = test.title(column, f"occurs as often as in {other_table.short_name}")
    return [_query_rule(title, query, ["value", "number_of_rows"])]


def _rows_by_value(column: str, table: str) -> str:
    name = quote_name(column)
    return f"select {name} as value, count(*) as number_of_rows from {table} group by {name}"


def _difference_query(columns: str, select: str, other_select: str) -> str:
    """Return a SELECT of the rows that only one of two SELECTs returns."""
    return (
        f"select {columns} from ({select}\nexcept\n{other_select}) as here_only\n"
        "union all\n"
        f"select {columns} from ({other_select}\nexcept\n{select}) as there_only"
    )


def mutually_exclusive_ranges(test: GenericTest) -> list[ImportedRule]:
    """Map `mutually_exclusive_ranges`: ranges do not overlap, and begin before they end."""
    low = test.column_argument("lower_bound_column")
    high = test.column_argument("upper_bound_column")
    partition = test.columns_argument("partition_by")
    gaps = str(test.argument("gaps", default="allowed"))
    may_be_empty = test.argument("zero_length_range_allowed", default=False)
    operator = "<=" if may_be_empty else "<"
    ordered = ImportedRule(
        test.title(low, f"is before {high}"),
        "always",
        f"{quote_name(low)} {operator} {quote_name(high)}",
        {"nulls": "fail"},
        ("A NULL in either column violates, as in dbt_utils.",),
    )
    title = test.title([low, high], "never overlap")
    if gaps == "allowed" and not may_be_empty:
        options: dict[str, str | list[str]] = {"from": low, "to": high}
        if partition:
            options["per"] = partition
        return [ImportedRule(title, "no_overlap", options), ordered]
    if gaps not in _OPERATOR_OF_GAPS:
        raise UnsupportedCheck(f"`gaps: {gaps}` is none of allowed, not_allowed and required")
    columns = [*partition, low, high]
    window = f"{_partition_by(partition)}order by {quote_name(low)}, {quote_name(high)}"
    query = (
        f"select {quote_names(columns)}\n"
        f"from (select {quote_names(columns)}, lead({quote_name(low)}) over ({window})"
        f" as next_begin from {test.filtered_table()}) as in_order\n"
        f"where not (next_begin {_OPERATOR_OF_GAPS[gaps]} {quote_name(high)})"
    )
    return [_query_rule(title, query, columns), ordered]


def sequential_values(test: GenericTest) -> list[ImportedRule]:
    """Map `sequential_values`: each value is one more than the one before. NULLs are ignored."""
    column = test.tested_column()
    step = test.number_argument("interval") or 1
    partition = test.columns_argument("group_by_columns")
    if test.argument("datepart") is not None:
        raise UnsupportedCheck("`datepart`: holes in time have no counterpart")
    columns = [*partition, column]
    if step == 1:
        no_gaps: str | dict[str, str | list[str]] = column
        if partition:
            no_gaps = {"column": column, "per": partition}
        return [
            ImportedRule(test.title(column, "has no gaps"), "no_gaps", no_gaps),
            ImportedRule(test.title(columns, "are unique"), "unique", single_or_list(columns)),
        ]
    name = quote_name(column)
    window = f"{_partition_by(partition)}order by {name}"
    query = (
        f"select {quote_names(columns)}\n"
        f"from (select {quote_names(columns)}, lag({name}) over ({window})"
        f" as before from {test.filtered_table()}) as in_order\n"
        f"where {name} <> before + {step}"
    )
    return [_query_rule(test.title(column, f"goes in steps of {step}"), query, columns)]


def _partition_by(columns: list[str]) -> str:
    """Return the beginning of a window in SQL; nothing without columns."""
    if not columns:
        return ""
    return f"partition by {quote_names(columns)} "


def _query_rule(title: str, query: str, key: list[str]) -> ImportedRule:
    return ImportedRule(title, "query", query, {"key": key}, (KEY_CHOSEN_NOTE,))


def _aggregate(test: GenericTest, title: str, options: Mapping[str, object]) -> ImportedRule:
    """Return an `aggregate` rule, for each group where the test has groups."""
    groups = [read_column_name(name) for name in test.columns_argument("group_by_columns")]
    if groups:
        options = {**options, "by": groups}
    return ImportedRule(title, "aggregate", options, failure_unit=FailureUnit.TABLE)


def _refuse_groups(test: GenericTest) -> None:
    if test.columns_argument("group_by_columns"):
        raise UnsupportedCheck("`group_by_columns`: rows are counted for the whole table only")


#: The mapping of each test by its name.
UTILS_TESTS: dict[str, TestMapping] = {
    "dbt_utils.accepted_range": accepted_range,
    "dbt_utils.at_least_one": at_least_one,
    "dbt_utils.cardinality_equality": cardinality_equality,
    "dbt_utils.equal_rowcount": equal_rowcount,
    "dbt_utils.equality": equality,
    "dbt_utils.expression_is_true": expression_is_true,
    "dbt_utils.fewer_rows_than": fewer_rows_than,
    "dbt_utils.mutually_exclusive_ranges": mutually_exclusive_ranges,
    "dbt_utils.not_accepted_values": not_accepted_values,
    "dbt_utils.not_constant": not_constant,
    "dbt_utils.not_empty_string": not_empty_string,
    "dbt_utils.not_null_proportion": not_null_proportion,
    "dbt_utils.recency": recency,
    "dbt_utils.relationships_where": relationships_where,
    "dbt_utils.sequential_values": sequential_values,
    "dbt_utils.unique_combination_of_columns": unique_combination_of_columns,
}
