"""Prints evidence: what other tables knew about a row when it began to violate a rule."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sanityd.alerts.compose.evidence_lines import evidence_rows, evidence_title, values_text
from sanityd.alerts.compose.sanitize import escape_hidden
from sanityd.cli import terminal
from sanityd.cli.reports import json_key
from sanityd.model import Evidence, Key, TrackedViolation

#: Of how many rows evidence is printed, and how many rows of each query.
ROWS, LINES = 5, 20


def print_stored(
    console: Any,
    rows: Sequence[TrackedViolation],
    evidence: Mapping[str, Sequence[Evidence]],
    at: Any,
    limit: int | None,
) -> None:
    """Print the stored evidence of the first `limit` rows; None for all.

    Parameters: `evidence` is by fingerprint; `at` is the present time.
    """
    with_evidence = [row for row in rows if row.fingerprint in evidence]
    for row in with_evidence[:limit]:
        items = evidence[row.fingerprint]
        when = terminal.since_in_zone(items[0].at, at)
        print_items(console, row.key, items, f"read {when}")
    if limit is not None and len(with_evidence) > limit:
        console.print(f"  … evidence of {len(with_evidence) - limit:,} more rows: --all shows it")
    without = len(rows) - len(with_evidence)
    if without and with_evidence:
        console.print(
            f"  rows without evidence: {without:,}; `alerts: limits: evidence_rows` is how many "
            "get it in one pass",
            soft_wrap=True,
        )


def print_items(console: Any, key: Key, items: Iterable[Evidence], note: str) -> None:
    """Print the evidence of one row. `note` says when it was read."""
    from rich.text import Text

    title = f"Evidence of {escape_hidden(values_text(key), 80)}, {note}"
    console.print(Text(f"\n{title}"), soft_wrap=True)
    for item in items:
        console.print(Text(f"  {evidence_title(item)}"), soft_wrap=True)
        for line in evidence_rows(item, LINES):
            console.print(Text(f"    {line}"), soft_wrap=True)


def as_json(evidence: Evidence) -> dict[str, Any]:
    """Return the evidence as JSON has it."""
    return {
        "name": evidence.name,
        "source": evidence.source,
        "at": evidence.at.isoformat(),
        "rows": [json_key(row) for row in evidence.rows],
        "hidden": list(evidence.hidden),
        "count": evidence.count,
        "more": evidence.more,
        "error": evidence.error or None,
    }
