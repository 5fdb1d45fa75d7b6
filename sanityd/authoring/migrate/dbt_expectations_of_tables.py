"""The tests of dbt_expectations on whole tables: numbers of rows, sums, columns, expressions."""

from sanityd.authoring.migrate.dbt_arguments import read_number_range
from sanityd.authoring.migrate.dbt_generic_test import GenericTest, TestMapping
from sanityd.authoring.migrate.import_result import FailureUnit, ImportedRule, UnsupportedCheck
from sanityd.authoring.migrate.sql_text import quote_name
from sanityd.authoring.migrate.thresholds import (
    ValueRange,
    aggregate_options,
    range_of_comparison,
    row_count_check,
)


def aggregate_rule(
    test: GenericTest, expression: str, allowed: ValueRange, title: str
) -> ImportedRule:
    """Return a rule on an aggregate, for each group where the test has groups."""
    options = aggregate_options(expression, allowed)
    groups = test.columns_argument("group_by", "group_by_columns")
    if groups:
        options["by"] = groups
    return ImportedRule(
        title, "aggregate", options, test.row_condition(), failure_unit=FailureUnit.TABLE
    )


def _sum_of_columns(test: GenericTest) -> list[ImportedRule]:
    columns = test.columns_argument("column_list")
    expression = " + ".join(f"sum({quote_name(column)})" for column in columns)
    total = test.number_argument("sum_total")
    if total is None:
        allowed = read_number_range(test)
    else:
        allowed = range_of_comparison("=", total)
    return [aggregate_rule(test, expression, allowed, test.title(columns, "add up"))]


def _row_count(test: GenericTest) -> list[ImportedRule]:
    value = test.number_argument("value")
    strictly = bool(test.argument("strictly", default=False))
    if value is None:
        allowed = read_number_range(test, strictly=strictly)
    else:
        allowed = range_of_comparison("=", value)
    title = f"{test.table.short_name} has a right number of rows"
    if test.columns_argument("group_by"):
        return [aggregate_rule(test, "count(*)", allowed, title)]
    kind, options = row_count_check(allowed)
    return [
        ImportedRule(title, kind, options, test.row_condition(), failure_unit=FailureUnit.TABLE)
    ]


def _same_row_count(test: GenericTest) -> list[ImportedRule]:
    other_table = test.relation_argument("compare_model")
    has_groups = test.argument("group_by", "compare_group_by")
    if has_groups or test.number_argument("factor") not in (None, 1):
        raise UnsupportedCheck(
            "`group_by` and `factor`: two tables are counted as a whole, one for one"
        )
    if test.argument("compare_row_condition"):
        raise UnsupportedCheck("`compare_row_condition`: the other table is counted as a whole")
    title = f"{test.table.short_name} has as many rows as {other_table.short_name}"
    options, keys = {"equals": other_table.name}, test.row_condition()
    return [ImportedRule(title, "row_count", options, keys, failure_unit=FailureUnit.TABLE)]


def _expression(test: GenericTest) -> list[ImportedRule]:
    has_groups = test.argument("group_by_columns")
    if has_groups or test.argument("test_condition", default="= true") != "= true":
        raise UnsupportedCheck("`group_by_columns` and `test_condition` have no counterpart")
    expression = str(test.required_argument("expression")).strip()
    title = f"{test.table.short_name} obeys {expression}"[:80]
    return [ImportedRule(title, "always", expression, test.row_condition())]


def _has_columns(test: GenericTest) -> list[ImportedRule]:
    return [_columns(test, dict.fromkeys(_listed_columns(test), "any"))]


def _has_only_columns(test: GenericTest) -> list[ImportedRule]:
    types = dict.fromkeys(_listed_columns(test), "any")
    return [_columns(test, {"columns": types, "extra": "fail"})]


def _listed_columns(test: GenericTest) -> list[str]:
    test.argument("transform")
    return test.columns_argument("column_list")


def _columns(test: GenericTest, options: object) -> ImportedRule:
    title = f"{test.table.short_name} has its columns"
    return ImportedRule(title, "columns", options, failure_unit=FailureUnit.TABLE)


#: The mapping of each test by its name, without the package.
TABLE_EXPECTATIONS: dict[str, TestMapping] = {
    "expect_multicolumn_sum_to_be_between": _sum_of_columns,
    "expect_multicolumn_sum_to_equal": _sum_of_columns,
    "expect_table_columns_to_contain_set": _has_columns,
    "expect_table_columns_to_match_set": _has_only_columns,
    "expect_table_row_count_to_be_between": _row_count,
    "expect_table_row_count_to_equal": _row_count,
    "expect_table_row_count_to_equal_other_table": _same_row_count,
    "expression_is_true": _expression,
}
