"""Great Expectations 1: a suite for each table; the keys of unexpected rows are fetched
(`COMPLETE`)."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import great_expectations as gx  # type: ignore[import-not-found]

from tests.bench.peer.told import Spec, whole

has: Any = gx.expectations


def expectation(rule: dict[str, Any]) -> Any:  # noqa: PLR0911 (one return per kind)
    """A rule in its words. What it can't say is SQL of ours."""
    kind, options, meta = rule["kind"], rule["options"], {"meta": {"id": rule["id"]}}
    match kind:
        case "not_null":
            return has.ExpectColumnValuesToNotBeNull(column=options, **meta)
        case "unique" if isinstance(options, str):
            return has.ExpectColumnValuesToBeUnique(column=options, **meta)
        case "unique":
            some = "any_value_is_missing"
            return has.ExpectCompoundColumnsToBeUnique(
                column_list=options, ignore_row_if=some, **meta
            )
        case "row_count":
            return has.ExpectTableRowCountToBeBetween(min_value=options["min"], **meta)
        case "fresh":
            late = datetime.now(UTC) - timedelta(days=1)
            return has.ExpectColumnMaxToBeBetween(column="synced_at", min_value=late, **meta)
        case "always" | "has" | "aggregate" | "references":
            return has.UnexpectedRowsExpectation(unexpected_rows_query=rule["sql"], **meta)
    [(column, expected)] = options.items()
    match kind:
        case "accepted_values":
            return has.ExpectColumnValuesToBeInSet(column=column, value_set=expected, **meta)
        case "between":
            low, high = expected
            return has.ExpectColumnValuesToBeBetween(
                column=column, min_value=low, max_value=high, **meta
            )
        case "length":
            low, high = expected
            return has.ExpectColumnValueLengthsToBeBetween(
                column=column, min_value=low, max_value=high, **meta
            )
        case _:
            return has.ExpectColumnValuesToMatchRegex(column=column, regex=whole(expected), **meta)


def main() -> None:
    """A validation for each table."""
    spec = Spec()
    logging.disable(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    url = spec.url.replace("postgresql://", "postgresql+psycopg2://")
    source = context.data_sources.add_postgres("app", connection_string=url)
    form = {"result_format": "COMPLETE", "unexpected_index_column_names": ["id"]}
    counts: dict[str, int | str | None] = {}
    for table in dict.fromkeys(rule["table"] for rule in spec.rules):
        asset = source.add_table_asset(table, table_name=table)
        batch = asset.add_batch_definition_whole_table("all").get_batch()
        expected = [expectation(rule) for rule in spec.rules if rule["table"] == table]
        suite = gx.ExpectationSuite(name=table, expectations=expected)
        for one in batch.validate(suite, result_format=form).results:
            counts[one.expectation_config.meta["id"]] = _count(one)
    source.get_execution_engine().close()
    note = "references, has, always and aggregate are SQL of ours; of duplicates it counts the rows, not the keys"
    spec.tell(counts, [note])


def _count(one: Any) -> int | str | None:
    if one.exception_info.get("raised_exception"):
        return "exception"
    if any(
        "exception_message" in str(info) and info.get("raised_exception") for info in _infos(one)
    ):
        return "exception"
    result = one.result
    if "unexpected_count" in result:
        return int(result["unexpected_count"])
    if one.expectation_config.type in (
        "expect_table_row_count_to_be_between",
        "expect_column_max_to_be_between",
    ):
        return int(not one.success)
    return int(result.get("observed_value") or 0)


def _infos(one: Any) -> list[dict[str, Any]]:
    return [info for info in one.exception_info.values() if isinstance(info, dict)]


if __name__ == "__main__":
    main()
