"""What the benchmark measured, as tables."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import click

from tests.bench.shop import Shop


@dataclass
class Measured:
    """One run of one candidate: the whole process, what it says of the work inside, and what the
    server spent."""

    whole: float
    inside: float
    cpu: float
    statements: int
    peak: float
    counts: Mapping[str, int | str | None]
    per_rule: Mapping[str, tuple[str, float, int]] = field(default_factory=dict)
    notes: Sequence[str] = ()


def table(
    shop: Shop,
    rounds: int,
    measured: Mapping[str, Sequence[Measured]],
    failed: Mapping[str, str],
    yardstick: str,
) -> None:
    """A line for each candidate: medians; of memory, the most."""
    if not (base := measured[yardstick]):
        raise click.ClickException(f"{yardstick}: {failed[yardstick]}")
    one = statistics.median(run.inside for run in base)
    click.echo(f"{shop}; median of {rounds} in turns\n")
    heads = ("work", "ratio", "process", "server CPU", "peak", "statements")
    click.echo(f"{'':30}" + "".join(f"{head:>12}" for head in heads))
    for name, runs in measured.items():
        if not runs:
            continue
        inside = statistics.median(run.inside for run in runs)
        cells = (
            f"{inside:.2f} s",
            f"{inside / one:.2f} x",
            f"{statistics.median(run.whole for run in runs):.2f} s",
            f"{statistics.median(run.cpu for run in runs):.2f} s",
            f"{max(run.peak for run in runs):.0f} MiB",
            f"{statistics.median(run.statements for run in runs):.0f}",
        )
        click.echo(f"{name:30}" + "".join(f"{cell:>12}" for cell in cells))
    for name, reason in failed.items():
        click.echo(f"{name:30}  not measured: {reason}")
    click.echo(
        "\nwork: inside the process, from connecting on; ratio: of the work; process: with its start; server CPU: of"
        "\nall the server's processes; statements: those that read a table of the shop, counted by pg_stat_statements."
    )


def miscounts(measured: Mapping[str, Sequence[Measured]], expected: Mapping[str, int]) -> None:
    """Where a candidate told another number than was planted, or none; and what it says of
    itself."""
    for name, runs in measured.items():
        if not runs:
            continue
        counts = runs[-1].counts
        wrong = {rule: counts.get(rule) for rule in expected if counts.get(rule) != expected[rule]}
        click.echo(f"\n{name}: {len(expected) - len(wrong)} of {len(expected)} counts are right")
        for rule, count in wrong.items():
            click.echo(
                f"  {rule:40} {'no count' if count is None else count}, planted {expected[rule]}"
            )
        for note in runs[-1].notes:
            click.echo(f"  {note}")


def slowest(runs: Sequence[Measured]) -> None:
    """Where sanityd's time goes: by kind, and the ten rules that take longest."""
    if not runs:
        return
    kinds: dict[str, list[float]] = defaultdict(list)
    rules = []
    for rule, (kind, _, statements) in runs[0].per_rule.items():
        seconds = statistics.median(run.per_rule[rule][1] for run in runs)
        kinds[kind].append(seconds)
        rules.append((seconds, rule, kind, statements))
    click.echo("\nsanityd, seconds per rule, by kind")
    for kind, each in sorted(kinds.items(), key=lambda item: -sum(item[1])):
        click.echo(
            f"  {kind:18}{len(each):4} rules {sum(each) / len(each):8.3f} each {sum(each):8.3f} in all"
        )
    click.echo("\nsanityd, the ten slowest rules")
    for seconds, rule, kind, statements in sorted(rules, reverse=True)[:10]:
        click.echo(f"  {rule:40}{kind:18}{seconds:8.3f} s  {statements} statements")
