"""Long after: the store and the memory are as large after many runs as after few."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOAK = (sys.executable, "-m", "tests.bench.soaking")


def soak(folder: Path, *words: str) -> list[dict[str, Any]]:
    """What was measured on the way, in a process of its own."""
    done = subprocess.run(
        [*SOAK, str(folder), *words], check=True, capture_output=True, text=True, timeout=200
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.long
@pytest.mark.timeout(240)
def test_neither_the_store_nor_the_memory_grows_when_what_is_kept_is_full(tmp_path: Path) -> None:
    """Incidents, the audit and a row per rule and day are kept for ever: a small part of what runs
    would take."""
    told = soak(tmp_path, "--runs", "480", "--rules", "2", "--hours", "24")
    half, last = told[len(told) // 2 - 1], told[-1]
    assert last["runs"] == 2 * half["runs"] == 480
    assert last["stored"] <= 2 * 100
    assert last["tidied"] > 250
    assert last["memory"] <= half["memory"] * 1.05
    assert last["pages"] - half["pages"] < (half["pages"] - told[0]["pages"]) / 4
    [(days,)] = (
        sqlite3.connect(tmp_path / "state.db").execute("SELECT count(*) FROM days").fetchall()
    )
    assert days > 0
