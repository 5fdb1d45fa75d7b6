"""Reads tables for proposals and prints them; rules that don't hold now come first."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from sanityd.authoring.suggest.results import ExistingRules, Proposal, Suggestions
    from sanityd.sources.base import Snapshot, SourceSettings

#: How many findings, tables that were skipped and empty tables are listed.
FINDINGS, SKIPPED, EMPTY = 20, 10, 5


def read_tables(
    settings: "SourceSettings",
    names: "Callable[[Snapshot], Sequence[tuple[str | None, str]]]",
    whole: int,
    taken: "ExistingRules",
    per_table: int | None = None,
) -> "tuple[Suggestions, float]":
    """Read tables of a source, with a progress bar. Returns the proposals and the seconds it took.

    Parameters: `names` returns the schemas and names of the tables; tables with more than `whole`
    rows are read as a sample; `per_table` limits the rules for one table. Raises SourceError.
    """
    from sanityd import clock
    from sanityd.authoring.suggest import suggest
    from sanityd.sources.open import open_source

    started = clock.stopwatch()
    source = open_source(settings)
    try:
        with source.snapshot() as snapshot:
            tables = names(snapshot)
            with _bar(len(tables)) as step:
                suggestions = suggest.suggest(
                    snapshot,
                    tables,
                    whole=whole,
                    taken=taken,
                    per_table=per_table or suggest.PER_TABLE,
                    step=step,
                )
    finally:
        source.close()
    return suggestions, clock.stopwatch() - started


@contextmanager
def _bar(total: int) -> "Iterator[Callable[[str], None]]":
    """Show a progress bar. Returns a function to call with the name of each table before it is
    read."""
    from sanityd.alerts.compose.sanitize import display_value
    from sanityd.cli import terminal

    with terminal.progress(total, "Reading") as bar:
        [task] = bar.task_ids
        completed = 0

        def step(title: str) -> None:
            nonlocal completed
            bar.update(task, description=display_value(title, 40), completed=completed)
            completed += 1

        yield step


def show(console: Any, suggestions: "Suggestions", seconds: float) -> None:
    """Print how much was read, the rules that don't hold now, and what was left out."""
    _print_heading(console, suggestions, seconds)
    _print_broken(console, suggestions.broken)
    _print_left_out(console, suggestions)


def _print_heading(console: Any, suggestions: "Suggestions", seconds: float) -> None:
    from rich.text import Text

    tables = _count(suggestions.tables, "table")
    rows = _count(suggestions.rows, "row")
    proposed = "nothing new to propose"
    if suggestions.proposals:
        proposed = f"{_count(len(suggestions.proposals), 'rule')} proposed"
    heading = f"{tables}, {rows} read in {seconds:.1f} s; {proposed}"
    broken = len(suggestions.broken)
    if broken:
        verb = "does" if broken == 1 else "do"
        heading += f"; {broken} of them {verb} not hold now:"
    else:
        heading += "."
    console.print(Text(heading))


def _print_broken(console: Any, broken: "Sequence[Proposal]") -> None:
    from rich.text import Text

    from sanityd.alerts.compose.sanitize import display_value
    from sanityd.cli import terminal

    for proposal in broken[:FINDINGS]:
        line = terminal.signed(terminal.FAILED, Text(proposal.id, style="bold"))
        console.print(line, soft_wrap=True)
        sampled = f" ({proposal.sampled})" if proposal.sampled else ""
        console.print(
            f"      {display_value(proposal.tried.sentence, 300)}{sampled}", soft_wrap=True
        )
    if len(broken) > FINDINGS:
        console.print(f"    and {len(broken) - FINDINGS} more")


def _print_left_out(console: Any, suggestions: "Suggestions") -> None:
    """Print the numbers of rules left out, and the tables that are empty or could not be read."""
    from sanityd.alerts.compose.sanitize import display_value
    from sanityd.cli import terminal

    if suggestions.left_out:
        rules = _count(suggestions.left_out, "more rule")
        hint = "`sanityd suggest TABLE` shows all of a table"
        console.print(f"  {rules} left out: {hint}.", soft_wrap=True)
    empty = suggestions.empty
    if empty:
        names = ", ".join(display_value(title, 60) for title in empty[:EMPTY])
        if len(empty) > EMPTY:
            names += f" and {len(empty) - EMPTY} more"
        console.print(f"  {_count(len(empty), 'table')} without a row: {names}", soft_wrap=True)
    for title, why in suggestions.skipped[:SKIPPED]:
        words = f"{display_value(title, 80)}: {display_value(why, 300)}"
        console.print(terminal.signed(terminal.UNKNOWN, words), soft_wrap=True)
    more = len(suggestions.skipped) - SKIPPED
    if more > 0:
        console.print(f"    and {more} more tables that could not be read")


def as_json(suggestions: "Suggestions", seconds: float) -> dict[str, Any]:
    """Return the object of a source in `suggest --format json`."""
    return {
        "source": suggestions.source,
        "database": suggestions.database,
        "tables": suggestions.tables,
        "rows": suggestions.rows,
        "seconds": round(seconds, 3),
        "left_out": suggestions.left_out,
        "empty": list(suggestions.empty),
        "skipped": [{"table": title, "why": why} for title, why in suggestions.skipped],
        "proposals": [_as_json(proposal) for proposal in suggestions.proposals],
    }


def _as_json(proposal: "Proposal") -> dict[str, Any]:
    candidate, tried = proposal.tried.candidate, proposal.tried
    return {
        "id": proposal.id,
        "table": proposal.table.title,
        "kind": candidate.kind,
        "options": candidate.options,
        "holds": tried.holds,
        "checked": tried.checked,
        "wrong": tried.wrong,
        "sampled": not proposal.table.is_whole,
        "evidence": proposal.evidence,
        "yaml": "\n".join(proposal.lines()) + "\n",
    }


def all_tables(snapshot: "Snapshot") -> Sequence[tuple[str | None, str]]:
    """Return the schemas and names of all tables and views of a source."""
    return snapshot.all_tables()


def _count(number: int, noun: str) -> str:
    from sanityd.cli.terminal import plural

    return f"{number:,} {plural(number, noun)}"
