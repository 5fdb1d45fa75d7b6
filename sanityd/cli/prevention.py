"""`sanityd suggest --constraints`: what would have made the violations of rules impossible."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sanityd.authoring.suggest.ddl import Constraint
    from sanityd.authoring.suggest.prevention import Prevention
    from sanityd.rules.rule import Rule, RuleSet
    from sanityd.store.repairs import RepairRecord

#: The most characters of a statement or an advice.
_LONGEST = 2000


def find(rules: "RuleSet", selected: "Sequence[Rule]", *, show_all: bool) -> "list[Prevention]":
    """Return what would have prevented the violations of rules, in the order of the file.

    Parameters: without `show_all`, only of rules that were violated and repaired. The databases are
    only read. Raises SourceError and StoreError.
    """
    from sanityd.authoring.suggest.prevention import preventions
    from sanityd.sources.snapshot_pool import SnapshotPool

    records = _records(rules)
    if not show_all:
        selected = [rule for rule in selected if rule.id in records]
    results: dict[str, Prevention] = {}
    with SnapshotPool(rules.sources) as snapshots:
        for source, batch in rules.by_source(selected).items():
            for prevention in preventions(snapshots.snapshot(source), batch, records):
                results[prevention.rule.id] = prevention
    return [results[rule.id] for rule in selected if rule.id in results]


def _records(rules: "RuleSet") -> "dict[str, RepairRecord]":
    from sanityd.cli.options import existing_store
    from sanityd.store import repairs

    store = existing_store(rules)
    if store is None:
        return {}
    try:
        with store.read() as connection:
            return repairs.repaired_rules(connection, rules.rules)
    finally:
        store.close()


def as_json(preventions: "Sequence[Prevention]") -> list[dict[str, Any]]:
    """Return the entries of `suggest --constraints --format json`."""
    return [_entry(prevention) for prevention in preventions]


def _entry(prevention: "Prevention") -> dict[str, Any]:
    record, constraint = prevention.record, prevention.constraint
    return {
        "rule": prevention.rule.id,
        "kind": prevention.rule.invariant.kind,
        "repaired": record.times if record else 0,
        "repaired_rows": record.rows if record else 0,
        "last_repaired": record.last_at.isoformat() if record else None,
        "violated": bool(record and record.is_open),
        "proved_by": prevention.proved_by or None,
        "statements": list(constraint.statements) if constraint else [],
        "reverse": list(constraint.reverse) if constraint else [],
        "proves": bool(constraint and constraint.proves),
        "advice": constraint.advice if constraint else prevention.advice,
    }


def write(preventions: "Sequence[Prevention]", *, show_all: bool) -> None:
    """Print them, with their statements and how to undo these."""
    from sanityd.cli import terminal

    console: Any = terminal.console()
    if not preventions:
        words = "There is no rule." if show_all else "No rule was violated and repaired."
        click.echo(f"{words} `--all` lists the others, too." if not show_all else words)
        return
    for prevention in preventions:
        _print(console, prevention)
    if any(prevention.constraint for prevention in preventions):
        console.print(
            "\nNone of this is run by sanityd. Read it and try it on a copy. "
            "Keep the rule: with the constraint, it costs nothing."
        )


def _print(console: Any, prevention: "Prevention") -> None:
    from sanityd.alerts.compose.sanitize import display_value
    from sanityd.cli import terminal

    console.print(f"\n{prevention.rule.id}", style="bold")
    console.print(f"  {_record_line(prevention.record)}")
    if prevention.proved_by:
        proof = display_value(prevention.proved_by, _LONGEST)
        console.print(terminal.signed(terminal.PASSED, f"proved by {proof}: it can't happen again"))
    elif prevention.constraint is not None:
        _print_constraint(console, prevention.constraint)
    else:
        console.print(f"  {display_value(prevention.advice, _LONGEST)}", soft_wrap=True)


def _print_constraint(console: Any, constraint: "Constraint") -> None:
    from sanityd.alerts.compose.sanitize import display_value

    for statement in constraint.statements:
        console.print(f"    {display_value(statement, _LONGEST)};", soft_wrap=True)
    console.print(f"  {display_value(constraint.advice, _LONGEST)}", soft_wrap=True)
    if constraint.reverse:
        console.print("  To undo it:")
    for statement in constraint.reverse:
        console.print(f"    {display_value(statement, _LONGEST)};", soft_wrap=True)


def _record_line(record: "RepairRecord | None") -> str:
    """Return how often a rule was violated and repaired."""
    if record is None:
        return "never violated, as far as is known"
    times = "once" if record.times == 1 else f"{record.times:,} times"
    rows = "1 row" if record.rows == 1 else f"{record.rows:,} rows"
    words = f"violated and repaired {times}, {rows}, last on {record.last_at:%Y-%m-%d}"
    if record.is_open:
        words += "; violated now, so repair it before you add a constraint"
    return words
