"""Sentences call rows by their table's name where that is a plural."""

import pytest

from sanityd.checks.kinds.between import Between
from sanityd.checks.table_nouns import rows_of


@pytest.mark.parametrize(
    "table", ["people", "orders", "order_lines", "OrderLines", "statuses", "user_data"]
)
def test_a_plural_stands_for_its_rows(table: str) -> None:
    assert rows_of(table) == table


@pytest.mark.parametrize(
    "table", ["reading", "status", "address", "analysis", "Person", "table1", "größe", "订单", ""]
)
def test_of_any_other_name_the_rows_are_spoken_of(table: str) -> None:
    assert rows_of(table) == f"rows of {table}"


def test_a_sentence_says_so() -> None:
    check = Between.model_validate({"on_hand": {"min": 0}})
    assert (
        check.sentence("reading", 3, 3, 100_000)
        == "3 of 100,000 rows of reading have on_hand below 0"
    )
    assert check.sentence("reading", 1, 1, None) == "1 row of reading has on_hand below 0"
    assert check.fact("reading", 3, 3, 100_000) == "3 rows of reading have on_hand below 0"
    assert check.fact("orders", 1, 1, 60) == check.sentence("orders", 1, 1, 60)
    assert check.sentence("orders", 1, 1, 60) == "1 of 60 orders has on_hand below 0"
