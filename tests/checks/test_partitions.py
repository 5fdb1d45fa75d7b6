"""The two sides of a comparison are divided the same way, in memory and in files."""

import os
from contextlib import ExitStack
from itertools import chain

import pytest

from sanityd.checks import partitions
from sanityd.checks.partitions import MEMORY, PARTS, Partitions


def test_small_sides_need_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "TemporaryFile", lambda **_: pytest.fail("a file was made"))
    records = [os.urandom(16) for _ in range(1000)]
    with ExitStack() as files:
        side = Partitions(16, files)
        side.fill(records)
        assert sorted(record for part in side for record in part) == sorted(records)


def test_large_sides_come_back_whole_and_in_the_same_parts() -> None:
    """More than fits into memory, so that a part is in a file and its end in memory."""
    records = [bytes([number % 4]) + os.urandom(19) for number in range(MEMORY)]
    with ExitStack() as files:
        side = Partitions(20, files)
        side.fill(records)
        # A second look at them reads the same.
        for _ in range(2):
            parts = [list(part) for part in side]
            assert [len(part) for part in parts[:4]] == [MEMORY // 4] * 4
            assert sorted(chain.from_iterable(parts)) == sorted(records)
            for number in range(PARTS):
                assert {record[0] % PARTS for record in parts[number]} <= {number}
