"""The generic tests of dbt itself and of dbt_utils as rules. One function each, named as the test."""

from sanityd.authoring.migrate.dbt_test import Mapped, Test, age, bounds, column, values
from sanityd.authoring.migrate.draft import VALUES, WHOLE, Draft, Unmappable, quoted
from sanityd.authoring.migrate.selecting import KEY_CHOSEN

_SEVERAL = "dbt counts distinct values, sanityd rows: a threshold is reached sooner."


def not_null(test: Test) -> Mapped:
    """A NULL violates; blank text doesn't, there and here."""
    name = test.one_column()
    return [Draft(test.of(name, "is never null"), "not_null", name)]


def unique(test: Test) -> Mapped:
    """NULLs are exempt there and here; a failure is a value there, a key here."""
    name = test.one_column()
    return [Draft(test.of(name, "is unique"), "unique", name)]


def accepted_values(test: Test) -> Mapped:
    """`NULL not in (…)` is unknown, so that NULL passes there as it does here."""
    name = test.one_column()
    options = {name: values(test, "values", "quote")}
    return [
        Draft(test.of(name, "is an accepted value"), "accepted_values", options, counted=VALUES)
    ]


def not_accepted_values(test: Test) -> Mapped:
    """NULL passes there and here."""
    name = test.one_column()
    options = {name: values(test, "values", "quote")}
    return [
        Draft(test.of(name, "is no rejected value"), "rejected_values", options, counted=VALUES)
    ]


def relationships(test: Test) -> Mapped:
    """NULL passes there and here."""
    name, there, field = test.one_column(), test.other("to"), test.name_of("field")
    return [
        Draft(
            test.of(name, f"exists in {there.noun}"), "references", {name: f"{there.name}.{field}"}
        )
    ]


def relationships_where(test: Test) -> Mapped:
    """As `relationships`, with a condition on either side."""
    [plain] = relationships(test)
    here, there = test.take("from_condition"), test.take("to_condition")
    options = (
        {"columns": plain.options, "where": there} if there and there != "1=1" else plain.options
    )
    draft = Draft(plain.says, "references", options)
    return [draft.having(where=here if here and here != "1=1" else None)]


def expression_is_true(test: Test) -> Mapped:
    """`where not (…)` doesn't select what is unknown, so that NULL passes there as it does here."""
    expression, about = str(test.need("expression")).strip(), test.column
    condition = expression if about is None else f"{quoted(test.one_column())} {expression}"
    says = (
        f"{test.table.noun} obeys {expression}"
        if about is None
        else test.of(about, f"obeys {expression}")
    )
    return [Draft(says[:80], "always", condition).having(where=test.take("condition"))]


def unique_combination_of_columns(test: Test) -> Mapped:
    """dbt_utils groups without leaving out NULLs, so that they equal each other."""
    names = test.columns("combination_of_columns")
    test.take("quote_columns")
    note = "NULLs equal each other, as in dbt_utils."
    return [
        Draft(
            test.of(names, "are unique"),
            "unique",
            {"columns": names, "nulls": "equal"},
            notes=(note,),
        )
    ]


def not_null_proportion(test: Test) -> Mapped:
    """The share of rows with a value; without any row it is unknown, which passes."""
    name, low, high = test.one_column(), test.number("at_least"), test.number("at_most")
    if low is None and high is None:
        raise Unmappable("it has no bound")
    share = f"avg(case when {quoted(name)} is null then 0.0 else 1.0 end)"
    limits = {word: bound for word, bound in (("min", low), ("max", high)) if bound is not None}
    says = test.of(name, "is often enough not null")
    return [_grouped(test, Draft(says, "aggregate", {"expr": share, **limits}, counted=WHOLE))]


def at_least_one(test: Test) -> Mapped:
    """No row at all violates there and here."""
    name = test.one_column()
    options = {"expr": f"count({quoted(name)})", "min": 1}
    draft = _grouped(
        test, Draft(test.of(name, "has a value somewhere"), "aggregate", options, counted=WHOLE)
    )
    if "by" in draft.options:
        return [
            draft.having(
                "Each group is looked at; dbt_utils looks at one row at most, and passes all groups."
            )
        ]
    return [draft]


def not_constant(test: Test) -> Mapped:
    """A column of nothing but NULLs has no value, not one: it passes there and here."""
    name = test.one_column()
    options = {
        "expr": f"case when count(distinct {quoted(name)}) = 1 then 1 else 0 end",
        "equals": 0,
    }
    return [
        _grouped(test, Draft(test.of(name, "is not constant"), "aggregate", options, counted=WHOLE))
    ]


def not_empty_string(test: Test) -> Mapped:
    """Text that is empty, or of blanks; NULL passes there and here."""
    name = test.one_column()
    text = (
        quoted(name)
        if test.take("trim_whitespace", default=True) in (False, "false")
        else f"trim({quoted(name)})"
    )
    return [Draft(test.of(name, "is never empty"), "never", f"{text} = ''")]


def accepted_range(test: Test) -> Mapped:
    """NULL passes there and here."""
    name = test.one_column()
    limits, conditions = bounds(
        test, "min_value", "max_value", strictly=not test.take("inclusive", default=True)
    )
    if limits is None:
        return [Draft(test.of(name, "is in range"), "always", " and ".join(conditions))]
    return [Draft(test.of(name, "is in range"), "between", {name: limits})]


def recency(test: Test) -> Mapped:
    """The newest value is young enough; without any it is unknown, which passes there."""
    name = test.name_of("field")
    if test.columns("group_by_columns"):
        raise Unmappable("`fresh` is about the whole table, not about each group")
    if test.take("ignore_time_component", default=False):
        raise Unmappable("`ignore_time_component` compares days, `fresh` times")
    limit, note = age(test, "datepart", "interval")
    draft = Draft(
        test.of(name, "is recent"), "fresh", {name: limit}, {"when_empty": "pass"}, counted=WHOLE
    )
    empty = "No rows pass, as in dbt_utils; rows with no date at all, and rows from the future, violate here."
    return [draft.having(note, empty)]


def equal_rowcount(test: Test) -> Mapped:
    """Two tables have as many rows."""
    there = test.other("compare_model")
    _no_groups(test)
    says = f"{test.table.noun} has as many rows as {there.noun}"
    return [Draft(says, "row_count", {"equals": there.name}, counted=WHOLE)]


def fewer_rows_than(test: Test) -> Mapped:
    """As many rows violate, too, there and here."""
    there = test.other("compare_model")
    _no_groups(test)
    options = {"expr": f"count(*) - (select count(*) from {there.sql})", "below": 0}
    return [
        Draft(
            f"{test.table.noun} has fewer rows than {there.noun}",
            "aggregate",
            options,
            counted=WHOLE,
        )
    ]


def equality(test: Test) -> Mapped:
    """Rows of one table that the other has not, either way; NULL equals NULL, and repetitions don't count."""
    names, there = test.columns("compare_columns"), test.other("compare_model")
    if test.columns("exclude_columns") or not names:
        raise Unmappable(
            "which columns the tables have is not in the file: name them in `compare_columns`"
        )
    listed = ", ".join(map(quoted, names))
    return [
        _difference(
            test, names, f"select {listed} from", f"select {listed} from", there.sql, there.noun
        )
    ]


def cardinality_equality(test: Test) -> Mapped:
    """Each value occurs as often in both tables; NULL is a value."""
    name, there, field = test.one_column(), test.other("to"), test.name_of("field")
    counted = "select {0} as value, count(*) as number_of_rows from"
    here = f"{counted.format(quoted(name))} {test.rows()} group by {quoted(name)}"
    other = f"{counted.format(quoted(field))} {there.sql} group by {quoted(field)}"
    query = (
        f"select value, number_of_rows from ({here}\nexcept\n{other}) as here_only\nunion all\n"
        f"select value, number_of_rows from ({other}\nexcept\n{here}) as there_only"
    )
    says = test.of(name, f"occurs as often as in {there.noun}")
    return [Draft(says, "query", query, {"key": ["value", "number_of_rows"]}, (KEY_CHOSEN,))]


def mutually_exclusive_ranges(test: Test) -> Mapped:
    """Ranges in order don't overlap, and each begins before it ends. A NULL violates in dbt_utils."""
    low, high = test.name_of("lower_bound_column"), test.name_of("upper_bound_column")
    per, gaps = test.columns("partition_by"), str(test.take("gaps", default="allowed"))
    empty = test.take("zero_length_range_allowed", default=False)
    before = f"{quoted(low)} {'<=' if empty else '<'} {quoted(high)}"
    note = "A NULL in either column violates, as in dbt_utils."
    ordered = Draft(test.of(low, f"is before {high}"), "always", before, {"nulls": "fail"}, (note,))
    says = test.of([low, high], "never overlap")
    if gaps == "allowed" and not empty:
        per_key = {"per": per} if per else {}
        return [Draft(says, "no_overlap", {"from": low, "to": high, **per_key}), ordered]
    right = {"allowed": ">=", "not_allowed": "=", "required": ">"}.get(gaps)
    if right is None:
        raise Unmappable(f"`gaps: {gaps}` is none of allowed, not_allowed and required")
    names = [*per, low, high]
    listed = ", ".join(map(quoted, names))
    partition = f"partition by {', '.join(map(quoted, per))} " if per else ""
    order = f"{partition}order by {quoted(low)}, {quoted(high)}"
    inner = f"select {listed}, lead({quoted(low)}) over ({order}) as next_begin from {test.rows()}"
    query = f"select {listed}\nfrom ({inner}) as in_order\nwhere not (next_begin {right} {quoted(high)})"
    return [Draft(says, "query", query, {"key": names}, (KEY_CHOSEN,)), ordered]


def sequential_values(test: Test) -> Mapped:
    """Each value is one more than the one before; NULLs are passed over."""
    name, step, per = (
        test.one_column(),
        test.number("interval") or 1,
        test.columns("group_by_columns"),
    )
    if test.take("datepart") is not None:
        raise Unmappable("`datepart`: holes in time have no counterpart")
    if step == 1:
        holes = Draft(
            test.of(name, "has no gaps"), "no_gaps", {"column": name, "per": per} if per else name
        )
        return [
            holes,
            Draft(test.of([*per, name], "are unique"), "unique", [*per, name] if per else name),
        ]
    names = [*per, name]
    listed = ", ".join(map(quoted, names))
    partition = f"partition by {', '.join(map(quoted, per))} " if per else ""
    inner = f"select {listed}, lag({quoted(name)}) over ({partition}order by {quoted(name)}) as before from {test.rows()}"
    query = f"select {listed}\nfrom ({inner}) as in_order\nwhere {quoted(name)} <> before + {step}"
    return [
        Draft(
            test.of(name, f"goes in steps of {step}"), "query", query, {"key": names}, (KEY_CHOSEN,)
        )
    ]


def _difference(
    test: Test, names: list[str], mine: str, theirs: str, there: str, noun: str
) -> Draft:
    listed = ", ".join(map(quoted, names))
    here, other = f"{mine} {test.rows()}", f"{theirs} {there}"
    query = (
        f"select {listed} from ({here}\nexcept\n{other}) as here_only\nunion all\n"
        f"select {listed} from ({other}\nexcept\n{here}) as there_only"
    )
    return Draft(f"{test.table.noun} equals {noun}", "query", query, {"key": names}, (KEY_CHOSEN,))


def _grouped(test: Test, draft: Draft) -> Draft:
    """An aggregate for each group, where the test has groups."""
    by = [column(name) for name in test.columns("group_by_columns")]
    options = {**draft.options, "by": by} if by else draft.options
    return Draft(draft.says, draft.kind, options, draft.keys, draft.notes, draft.counted)


def _no_groups(test: Test) -> None:
    if test.columns("group_by_columns"):
        raise Unmappable("`group_by_columns`: rows are counted for the whole table only")


CORE = {one.__name__: one for one in (not_null, unique, accepted_values, relationships)}
UTILS = {
    f"dbt_utils.{one.__name__}": one
    for one in (
        accepted_range,
        at_least_one,
        cardinality_equality,
        equal_rowcount,
        equality,
        expression_is_true,
        fewer_rows_than,
        mutually_exclusive_ranges,
        not_accepted_values,
        not_constant,
        not_empty_string,
        not_null_proportion,
        recency,
        relationships_where,
        sequential_values,
        unique_combination_of_columns,
    )
}
