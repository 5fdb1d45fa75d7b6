"""Checks of SodaCL that are not imported, with the reason."""

from pathlib import Path

import pytest

from sanityd.authoring.migrate import soda


@pytest.mark.parametrize(
    ("check", "name", "reason"),
    [
        ("missing_count(a, b) = 0", "missing_count(a, b) = 0 on t", "it names several columns"),
        ("[a, b]", "['a', 'b'] on t", "it has no counterpart"),
    ],
)
def test_a_malformed_check_is_refused(tmp_path: Path, check: str, name: str, reason: str) -> None:
    path = tmp_path / "checks.yml"
    path.write_text(f"checks for t:\n  - {check}\n", encoding="utf-8")
    [imported] = soda.read([path], None).translations
    assert (imported.name, imported.reason, imported.rules) == (name, reason, ())
