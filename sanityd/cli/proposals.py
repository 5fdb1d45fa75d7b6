"""Proposals as people see them: first what does not hold now, as that is the first thing found."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from sanityd.authoring.suggest.results import Proposal, Suggestions, Taken
    from sanityd.sources.base import Snapshot, SourceSettings

#: How many findings, tables that were skipped and empty tables are listed.
FINDINGS, SKIPPED, EMPTY = 20, 10, 5


def look(
    settings: "SourceSettings",
    names: "Callable[[Snapshot], Sequence[tuple[str | None, str]]]",
    whole: int,
    taken: "Taken",
    most: int | None = None,
) -> "tuple[Suggestions, float]":
    """Look at some tables of a source, with a progress bar; and how many seconds it took. Raises
    SourceError.

    Parameters: `most` is how many rules of one table are proposed, unless the usual number is.
    """
    from sanityd import clock
    from sanityd.authoring.suggest import suggest
    from sanityd.sources.open import open_source

    started = clock.stopwatch()
    source = open_source(settings)
    try:
        with source.snapshot() as snapshot:
            places = names(snapshot)
            with _bar(len(places)) as step:
                most = most or suggest.PER_TABLE
                found = suggest.suggest(
                    snapshot, places, whole=whole, taken=taken, per_table=most, step=step
                )
    finally:
        source.close()
    return found, clock.stopwatch() - started


@contextmanager
def _bar(total: int) -> "Iterator[Callable[[str], None]]":
    from sanityd.alerts.compose.sanitize import visible
    from sanityd.cli import terminal

    with terminal.progress(total, "Looking") as bar:
        [task] = bar.task_ids
        looked = 0

        def step(title: str) -> None:
            nonlocal looked
            bar.update(task, description=visible(title, 40), completed=looked)
            looked += 1

        yield step


def tell(console: Any, found: "Suggestions", seconds: float) -> None:
    """What doesn't hold, and how much was looked at."""
    from rich.text import Text

    from sanityd.alerts.compose.sanitize import visible
    from sanityd.cli import terminal

    broken = found.broken
    rules = _count(len(found.proposals), "rule")
    head = Text(
        f"{_count(found.tables, 'table')}, {_count(found.rows, 'row')} looked at in {seconds:.1f} s; "
    )
    head.append(f"{rules} proposed" if found.proposals else "nothing new to propose")
    console.print(
        head.append(f"; {len(broken)} of them {_do(len(broken))} not hold now:" if broken else ".")
    )
    for proposal in broken[:FINDINGS]:
        console.print(
            terminal.signed(terminal.FAILED, Text(proposal.id, style="bold")), soft_wrap=True
        )
        sampled = f" ({proposal.sampled})" if proposal.sampled else ""
        console.print(f"      {visible(proposal.tried.sentence, 300)}{sampled}", soft_wrap=True)
    if len(broken) > FINDINGS:
        console.print(f"    and {len(broken) - FINDINGS} more")
    if found.left_out:
        console.print(
            f"  {_count(found.left_out, 'more rule')} left out: `sanityd suggest TABLE` shows all of a table.",
            soft_wrap=True,
        )
    if found.empty:
        named = ", ".join(visible(title, 60) for title in found.empty[:EMPTY])
        more = f" and {len(found.empty) - EMPTY} more" if len(found.empty) > EMPTY else ""
        console.print(
            f"  {_count(len(found.empty), 'table')} without a row: {named}{more}", soft_wrap=True
        )
    for title, why in found.skipped[:SKIPPED]:
        console.print(
            terminal.signed(terminal.UNKNOWN, f"{visible(title, 80)}: {visible(why, 300)}"),
            soft_wrap=True,
        )
    if len(found.skipped) > SKIPPED:
        console.print(
            f"    and {len(found.skipped) - SKIPPED} more tables that could not be looked at"
        )


def as_json(found: "Suggestions", seconds: float) -> dict[str, Any]:
    """A source's part of `suggest --format json`."""
    return {
        "source": found.source,
        "database": found.database,
        "tables": found.tables,
        "rows": found.rows,
        "seconds": round(seconds, 3),
        "left_out": found.left_out,
        "empty": list(found.empty),
        "skipped": [{"table": title, "why": why} for title, why in found.skipped],
        "proposals": [_as_json(proposal) for proposal in found.proposals],
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
    """Every table and view of the source."""
    return snapshot.places()


def _count(number: int, one: str) -> str:
    return f"{number:,} {one}{'s' * (number != 1)}"


def _do(number: int) -> str:
    return "does" if number == 1 else "do"
