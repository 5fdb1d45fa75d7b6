"""Values as harmless text."""

import unicodedata
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanityd.alerts.compose.sanitize import (
    ascii_line,
    display_value,
    escape_hidden,
    sanitized_lines,
)
from sanityd.model import Value
from tests.alerts.hostile import HOSTILE


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "NULL"),
        (True, "true"),
        (7, "7"),
        (-1.5, "-1.5"),
        (float("nan"), "nan"),
        (Decimal("1E+3"), "1000"),
        (Decimal("19.90"), "19.90"),
        (Decimal("1E+999999"), "1E+999999"),
        (Decimal("NaN"), "NaN"),
        (10**300, "1" + "0" * 198 + "…"),
        (b"\x00\xff", "0x00ff"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2), "2026-01-02 00:00"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02 03:04:05+00:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("plain", "plain"),
        ("", '""'),
        (" x ", '" x "'),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\u202egnp", "\\u202egnp"),
        ("\U000e0041", "\\U000e0041"),
        ("é e\u0301", "é e\u0301"),
        ("漢字", "漢字"),
    ],
)
def test_each_type_has_its_text(value: Value, text: str) -> None:
    assert display_value(value) == text


def test_an_integer_that_python_refuses_to_write_is_described() -> None:
    assert display_value(10**5000) == "an integer of 16,610 bits"


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_unseen_comes_through(value: str) -> None:
    text = display_value(value)
    assert text.isprintable()
    assert len(text) <= 200


@given(st.text(), st.integers(12, 50))
def test_any_text_is_printable_and_within_its_limit(value: str, limit: int) -> None:
    text = display_value(value, limit)
    assert len(text) <= limit
    assert all(
        character == " " or unicodedata.category(character)[0] not in "CZ" for character in text
    )


@given(st.binary(), st.integers(12, 50))
def test_bytes_stay_within_the_limit(value: bytes, limit: int) -> None:
    assert len(display_value(value, limit)) <= limit


def test_a_cut_text_says_so() -> None:
    assert display_value("a" * 201) == "a" * 199 + "…"
    assert display_value("a" * 200) == "a" * 200


def test_an_escape_is_never_cut_in_two() -> None:
    assert escape_hidden("\u202e" * 3, 14) == "\\u202e\\u202e…"


def test_words_keep_their_lines_and_nothing_else() -> None:
    assert sanitized_lines("first\n\n  second \x1b[1m\u202e  end\n") == [
        "first",
        "second \\x1b[1m\\u202e end",
    ]


@given(st.text(), st.integers(10, 120))
def test_a_header_line_is_printable_ascii(value: str, limit: int) -> None:
    line = ascii_line(value, limit)
    assert line.isascii()
    assert line == "" or line.isprintable()
    assert len(line) <= limit


def test_a_header_line_keeps_what_can_be_kept() -> None:
    assert ascii_line("Jede Straße in Zürich\r\nBcc: x", 80) == "Jede Stra?e in Zurich Bcc: x"
