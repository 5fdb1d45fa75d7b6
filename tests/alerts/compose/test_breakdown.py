"""More than 1,000 rows come with what they have in common."""

from sanityd.alerts.compose.breakdown import breakdown
from tests.alerts.samples import MANY, incident, mail, opened, row

ROWS = [row(n, shown={"status": "paid" if n % 4 else None, "total": n}) for n in range(1000)]


def test_the_most_frequent_values_are_counted() -> None:
    assert breakdown(ROWS, 40_000) == [
        "By status, of the 1,000 rows that are tracked: paid (750), NULL (250)."
    ]


def test_at_most_five_values_are_named() -> None:
    rows = [row(n, shown={"shop": n % 9}) for n in range(900)]
    [sentence] = breakdown(rows, 1001)
    assert sentence.endswith("4 (100), 4 other values.")


def test_fewer_rows_or_none_that_are_shown_have_no_breakdown() -> None:
    assert breakdown(ROWS, 1000) == []
    assert breakdown(MANY, 40_000) == []


def test_it_stands_in_the_mail() -> None:
    message = mail(opened(ROWS, 40_000, incident=incident(40_000), complete=False))
    assert "By status, of the 1,000 rows that are tracked" in message.html
