"""The tests of dbt_expectations that have a counterpart, as rules."""

from collections.abc import Callable
from typing import Any

from sanityd.authoring.migrate import spans
from sanityd.authoring.migrate.dbt_test import Mapped, Test, age, bounds, rows_in, values
from sanityd.authoring.migrate.draft import WHOLE, Draft, Unmappable, literal, quoted

_NULLS_FAIL = "A NULL is not in the set and violates, as in dbt_expectations."
_PREFIX = "dbt_expectations."


def _of_column(says: str, kind: str) -> Callable[[Test], Mapped]:
    """A test that has no arguments but a condition."""

    def mapped(test: Test) -> Mapped:
        name = test.one_column()
        return [Draft(test.of(name, says), kind, name, test.row_condition())]

    return mapped


def _is_null(test: Test) -> Mapped:
    name = test.one_column()
    return [
        Draft(
            test.of(name, "is always null"),
            "never",
            f"{quoted(name)} is not null",
            test.row_condition(),
        )
    ]


def _in_set(test: Test) -> Mapped:
    name = test.one_column()
    options = {name: values(test, "value_set", "quote_values")}
    draft = Draft(test.of(name, "is in its set"), "accepted_values", options, test.row_condition())
    return [draft.having(_NULLS_FAIL, nulls="fail")]


def _not_in_set(test: Test) -> Mapped:
    name = test.one_column()
    options = {name: values(test, "value_set", "quote_values")}
    return [
        Draft(test.of(name, "is not in the set"), "rejected_values", options, test.row_condition())
    ]


def _between(test: Test) -> Mapped:
    name = test.one_column()
    limits, conditions = bounds(
        test, "min_value", "max_value", strictly=bool(test.take("strictly", default=False))
    )
    says, keys = test.of(name, "is in range"), test.row_condition()
    if limits is None:
        return [Draft(says, "always", " and ".join(conditions), keys)]
    return [Draft(says, "between", {name: limits}, keys)]


def _lengths(test: Test) -> Mapped:
    name = test.one_column()
    limits, conditions = bounds(
        test, "min_value", "max_value", strictly=bool(test.take("strictly", default=False))
    )
    if limits is None:
        raise Unmappable(f"`{conditions[0]}` is an expression, not a length")
    return [
        Draft(test.of(name, "has a right length"), "length", {name: limits}, test.row_condition())
    ]


def _length(test: Test) -> Mapped:
    name, value = test.one_column(), test.number("value")
    options = {name: {"min": value, "max": value}}
    return [
        Draft(test.of(name, f"has {value} characters"), "length", options, test.row_condition())
    ]


def _regex(kind: str, says: str) -> Callable[[Test], Mapped]:
    def mapped(test: Test) -> Mapped:
        name, regex = test.one_column(), str(test.need("regex"))
        test.take("is_raw")
        _no_flags(test)
        return [_searched(test, name, kind, regex, says)]

    return mapped


def _regex_list(test: Test) -> Mapped:
    name, listed = test.one_column(), test.need("regex_list")
    test.take("is_raw")
    _no_flags(test)
    if not isinstance(listed, list) or str(test.take("match_on", default="any")) != "any":
        raise Unmappable("`match_on: all` has no counterpart")
    return [
        _searched(
            test, name, "matches", "|".join(f"({part})" for part in listed), "has one of its forms"
        )
    ]


def _no_flags(test: Test) -> None:
    if test.take("flags", default=""):
        raise Unmappable("`flags` of a regular expression differ between databases")


def _searched(test: Test, name: str, kind: str, regex: str, says: str) -> Draft:
    draft = Draft(
        test.of(name, says), kind, {"columns": {name: regex}, "part": True}, test.row_condition()
    )
    if kind == "not_matches":
        return draft
    return draft.having(
        "A NULL passes; dbt_expectations fails it on PostgreSQL alone, as `nulls: fail` would."
    )


def _like(kind: str, says: str) -> Callable[[Test], Mapped]:
    def mapped(test: Test) -> Mapped:
        name, pattern = test.one_column(), literal(str(test.need("like_pattern")))
        return [
            Draft(test.of(name, says), kind, f"{quoted(name)} like {pattern}", test.row_condition())
        ]

    return mapped


def _increasing(test: Test) -> Mapped:
    name, per = test.one_column(), test.columns("group_by")
    if test.take("step") is not None:
        raise Unmappable("`step` has no counterpart")
    order = test.name_of("sort_column") if test.take("sort_column") else name
    options: dict[str, Any] = {"column": name, **({"per": per} if per else {}), "order_by": order}
    if test.take("strictly", default=True):
        options["strictly"] = True
    note = "NULLs are passed over; in dbt_expectations the value after a NULL is compared with nothing."
    return [
        Draft(test.of(name, "never goes back"), "increases", options, test.row_condition(), (note,))
    ]


def _aggregate(function: str, says: str) -> Callable[[Test], Mapped]:
    def mapped(test: Test) -> Mapped:
        name = test.one_column()
        strictly = bool(test.take("strictly", default=False))
        span = rows_in(test.number("min_value"), test.number("max_value"), strictly=strictly)
        return [_measured(test, function.format(quoted(name)), span, test.of(name, says))]

    return mapped


def _distinct(operator: str) -> Callable[[Test], Mapped]:
    def mapped(test: Test) -> Mapped:
        name, value = test.one_column(), spans.number(test.need("value"))
        span = spans.compared(operator, value)
        return [
            _measured(
                test,
                f"count(distinct {quoted(name)})",
                span,
                test.of(name, "has a right number of values"),
            )
        ]

    return mapped


def _measured(test: Test, expression: str, span: spans.Span, says: str) -> Draft:
    by = test.columns("group_by", "group_by_columns")
    options = {**spans.aggregate(expression, span), **({"by": by} if by else {})}
    return Draft(says, "aggregate", options, test.row_condition(), counted=WHOLE)


def _sum_of_columns(test: Test) -> Mapped:
    names = test.columns("column_list")
    total = " + ".join(f"sum({quoted(name)})" for name in names)
    value = test.number("sum_total")
    span = (
        spans.compared("=", value)
        if value is not None
        else rows_in(test.number("min_value"), test.number("max_value"))
    )
    return [_measured(test, total, span, test.of(names, "add up"))]


def _row_count(test: Test) -> Mapped:
    value, strictly = test.number("value"), bool(test.take("strictly", default=False))
    if value is not None:
        span = spans.compared("=", value)
    else:
        span = rows_in(test.number("min_value"), test.number("max_value"), strictly=strictly)
    says = f"{test.table.noun} has a right number of rows"
    if test.columns("group_by"):
        return [_measured(test, "count(*)", span, says)]
    kind, options = spans.row_count(span)
    return [Draft(says, kind, options, test.row_condition(), counted=WHOLE)]


def _same_row_count(test: Test) -> Mapped:
    there = test.other("compare_model")
    if test.take("group_by", "compare_group_by") or test.number("factor") not in (None, 1):
        raise Unmappable("`group_by` and `factor`: two tables are counted as a whole, one for one")
    if test.take("compare_row_condition"):
        raise Unmappable("`compare_row_condition`: the other table is counted as a whole")
    says = f"{test.table.noun} has as many rows as {there.noun}"
    return [Draft(says, "row_count", {"equals": there.name}, test.row_condition(), counted=WHOLE)]


def _recent(test: Test) -> Mapped:
    name = test.one_column()
    limit, note = age(test, "datepart", "interval")
    draft = Draft(
        test.of(name, "is recent"), "fresh", {name: limit}, test.row_condition(), counted=WHOLE
    )
    return [
        draft.having(note, "Rows from the future don't count there either; here they violate, too.")
    ]


def _pair(test: Test, operator: str, says: str) -> Draft:
    left, right = test.name_of("column_A"), test.name_of("column_B")
    condition = f"{quoted(left)} {operator} {quoted(right)}"
    return Draft(test.of(left, f"{says} {right}"), "always", condition, test.row_condition())


def _greater(test: Test) -> Mapped:
    return [_pair(test, ">=" if test.take("or_equal", default=False) else ">", "is above")]


def _equal(test: Test) -> Mapped:
    return [_pair(test, "=", "equals")]


def _expression(test: Test) -> Mapped:
    if test.take("group_by_columns") or test.take("test_condition", default="= true") != "= true":
        raise Unmappable("`group_by_columns` and `test_condition` have no counterpart")
    expression = str(test.need("expression")).strip()
    return [
        Draft(
            f"{test.table.noun} obeys {expression}"[:80], "always", expression, test.row_condition()
        )
    ]


def _compound_unique(test: Test) -> Mapped:
    names, ignored = (
        test.columns("column_list"),
        str(test.take("ignore_row_if", default="all_values_are_missing")),
    )
    test.take("quote_columns")
    says, keys = test.of(names, "are unique"), test.row_condition()
    if ignored == "any_value_is_missing":
        return [Draft(says, "unique", names, keys)]
    if ignored != "all_values_are_missing":
        raise Unmappable(f"`ignore_row_if: {ignored}` has no counterpart")
    note = "NULLs equal each other, but for rows that have nothing else, as in dbt_expectations."
    some = " or ".join(f"{quoted(name)} is not null" for name in names)
    draft = Draft(says, "unique", {"columns": names, "nulls": "equal"}, keys)
    return [draft.having(note, where=some)]


def _exists(test: Test) -> Mapped:
    name = test.one_column()
    if test.take("column_index") is not None:
        raise Unmappable("`column_index`: the order of columns is not looked at")
    test.take("transform")
    return [Draft(test.of(name, "is there"), "columns", {name: "any"}, counted=WHOLE)]


def _type(test: Test) -> Mapped:
    name, wanted = test.one_column(), test.take("column_type")
    listed = [wanted] if wanted else test.need("column_type_list")
    if not isinstance(listed, list) or len(listed) != 1:
        raise Unmappable("`columns` knows one type for a column, not several")
    return [
        Draft(
            test.of(name, f"is {listed[0]}"),
            "columns",
            {name: str(listed[0]).lower()},
            counted=WHOLE,
        )
    ]


def _columns(test: Test, *, extra: bool) -> Mapped:
    names = test.columns("column_list")
    test.take("transform")
    wanted = dict.fromkeys(names, "any")
    options = wanted if extra else {"columns": wanted, "extra": "fail"}
    return [Draft(f"{test.table.noun} has its columns", "columns", options, counted=WHOLE)]


EXPECTATIONS = {
    _PREFIX + name: mapped
    for name, mapped in {
        "expect_column_distinct_count_to_be_greater_than": _distinct(">"),
        "expect_column_distinct_count_to_be_less_than": _distinct("<"),
        "expect_column_distinct_count_to_equal": _distinct("="),
        "expect_column_distinct_values_to_be_in_set": _in_set,
        "expect_column_max_to_be_between": _aggregate("max({})", "has a right maximum"),
        "expect_column_mean_to_be_between": _aggregate("avg({})", "has a right mean"),
        "expect_column_min_to_be_between": _aggregate("min({})", "has a right minimum"),
        "expect_column_pair_values_A_to_be_greater_than_B": _greater,
        "expect_column_pair_values_to_be_equal": _equal,
        "expect_column_stdev_to_be_between": _aggregate("stddev_samp({})", "has a right deviation"),
        "expect_column_sum_to_be_between": _aggregate("sum({})", "has a right sum"),
        "expect_column_to_exist": _exists,
        "expect_column_unique_value_count_to_be_between": _aggregate(
            "count(distinct {})", "has a right number of values"
        ),
        "expect_column_value_lengths_to_be_between": _lengths,
        "expect_column_value_lengths_to_equal": _length,
        "expect_column_values_to_be_between": _between,
        "expect_column_values_to_be_in_set": _in_set,
        "expect_column_values_to_be_in_type_list": _type,
        "expect_column_values_to_be_increasing": _increasing,
        "expect_column_values_to_be_null": _is_null,
        "expect_column_values_to_be_of_type": _type,
        "expect_column_values_to_be_unique": _of_column("is unique", "unique"),
        "expect_column_values_to_match_like_pattern": _like("always", "is like its pattern"),
        "expect_column_values_to_match_regex": _regex("matches", "has its form"),
        "expect_column_values_to_match_regex_list": _regex_list,
        "expect_column_values_to_not_be_in_set": _not_in_set,
        "expect_column_values_to_not_be_null": _of_column("is never null", "not_null"),
        "expect_column_values_to_not_match_like_pattern": _like("never", "is not like the pattern"),
        "expect_column_values_to_not_match_regex": _regex("not_matches", "has not the form"),
        "expect_compound_columns_to_be_unique": _compound_unique,
        "expect_multicolumn_sum_to_be_between": _sum_of_columns,
        "expect_multicolumn_sum_to_equal": _sum_of_columns,
        "expect_row_values_to_have_recent_data": _recent,
        "expect_table_columns_to_contain_set": lambda test: _columns(test, extra=True),
        "expect_table_columns_to_match_set": lambda test: _columns(test, extra=False),
        "expect_table_row_count_to_be_between": _row_count,
        "expect_table_row_count_to_equal": _row_count,
        "expect_table_row_count_to_equal_other_table": _same_row_count,
        "expression_is_true": _expression,
    }.items()
}
