"""Forty rules: sanityd, the same by hand, and other tools, in turns. Every count is compared with
what was planted."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from tests.bench import peers, report, server, shop
from tests.bench.forty import Promise, fused, promises, rules_file
from tests.bench.optimisations import OPTIMISATIONS, VARIABLE
from tests.bench.peers import Candidate
from tests.bench.report import Measured
from tests.bench.server import Database
from tests.bench.shop import Shop

YARDSTICK = "40 queries by hand"
#: One run of one candidate may take so long.
LIMIT = 3600.0


def ours(folder: Path) -> list[Candidate]:
    """sanityd and what is written by hand, in processes of their own."""
    ways = {
        YARDSTICK: "hand",
        "fused by hand, with keys": "fused",
        "fused by hand, counts only": "counted",
        "sanityd, evaluation": "evaluate",
        "sanityd check --dry-run": "check",
    }
    rules = str(folder / "rules.yaml")
    return [
        Candidate(name, (sys.executable, "-m", "tests.bench.inside", way, rules), exact=True)
        for name, way in ways.items()
    ]


def without_each(folder: Path) -> list[Candidate]:
    """Return sanityd with one optimisation switched off, for each that these rules can use."""
    command = (sys.executable, "-m", "tests.bench.inside", "evaluate", str(folder / "rules.yaml"))
    return [
        Candidate(f"without {name}", command, {VARIABLE: name}, exact=True)
        for name in OPTIMISATIONS
        if name != "bitmaps"
    ]


def write(folder: Path, database: Database, rules: Sequence[Promise]) -> None:
    """The rules file, and the same for those who can't read it."""
    url = database.url.replace("+psycopg", "")
    spec = {
        "login": server.parts(database.url),
        "url": url,
        "rules": [{**asdict(rule), "sql": rule.sql} for rule in rules],
        "fused": fused(rules, "array_agg(id)"),
        "counted": fused(rules, "count(*)"),
    }
    for name, words in {
        "rules.yaml": rules_file(url, rules),
        "spec.json": json.dumps(spec),
    }.items():
        (folder / name).write_text(words, encoding="utf-8")
        (folder / name).chmod(0o600)


def run(candidate: Candidate, database: Database) -> Measured | str:
    """Measure it once, or say why it can't be."""
    before = database.spent()
    began = time.perf_counter()
    try:
        done = subprocess.run(
            candidate.command,
            env={**os.environ, **candidate.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__}"
    whole = time.perf_counter() - began
    spent = database.spent() - before
    try:
        said: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        return (done.stderr.strip() or done.stdout.strip() or "said nothing").splitlines()[-1][:300]
    return Measured(
        whole,
        said["seconds"],
        spent.cpu,
        spent.statements,
        said["peak"],
        said["counts"],
        said.get("per_rule", {}),
        said.get("notes", ()),
    )


def in_turns(
    candidates: Sequence[Candidate], database: Database, expected: Mapping[str, int], rounds: int
) -> tuple[dict[str, list[Measured]], dict[str, str]]:
    """Each candidate once a round, in an order that moves on by one. Returns what was measured, and
    what failed."""
    measured: dict[str, list[Measured]] = {one.name: [] for one in candidates}
    failed: dict[str, str] = {}
    with click.progressbar(length=rounds * len(candidates), label="rules", file=sys.stderr) as bar:
        for nth in range(rounds):
            start = nth % len(candidates)
            for candidate in (*candidates[start:], *candidates[:start]):
                bar.update(1)
                if candidate.name in failed:
                    continue
                found = run(candidate, database)
                if isinstance(found, str):
                    failed[candidate.name] = found
                    continue
                if candidate.exact and found.counts != expected:
                    wrong = {
                        name: found.counts.get(name)
                        for name in expected
                        if found.counts.get(name) != expected[name]
                    }
                    raise click.ClickException(
                        f"{candidate.name} miscounts: {wrong}, planted: {expected}"
                    )
                measured[candidate.name].append(found)
    return measured, failed


@click.command("rules")
@click.option(
    "--rows",
    default=100_000,
    show_default=True,
    help="People; 1.2 times as many mails, twice as many orders.",
)
@click.option(
    "--rounds", default=3, show_default=True, help="How often each candidate is measured."
)
@click.option(
    "--planted/--clean",
    default=True,
    show_default=True,
    help="Whether each rule is violated a little.",
)
@click.option(
    "--gappy/--dense",
    default=False,
    show_default=True,
    help="Keys with gaps in any order, or one by one.",
)
@click.option(
    "--peers/--no-peers",
    "with_peers",
    default=True,
    show_default=True,
    help="Whether to try other tools.",
)
@click.option(
    "--without-each",
    "without_each_one",
    is_flag=True,
    help="Measure sanityd also with each optimisation switched off.",
)
@click.option(
    "--peer",
    "names",
    multiple=True,
    type=click.Choice(list(peers.PEERS)),
    help="Only this tool, or these.",
)
@click.option(
    "--json",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep all figures in this file.",
)
def command(
    rows: int,
    rounds: int,
    planted: bool,
    gappy: bool,
    with_peers: bool,
    without_each_one: bool,
    names: Sequence[str],
    file: Path | None,
) -> None:
    """Measure forty rules over a shop on PostgreSQL."""
    there = Shop(rows, gappy, planted)
    rules = promises(rows)
    expected = there.expected(rules)
    with server.started() as database, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        candidates = ours(folder)
        if without_each_one:
            candidates += without_each(folder)
        failed: dict[str, str] = {}
        for peer in (names or peers.PEERS) if with_peers else ():
            found = peers.candidate(peer, folder)
            if isinstance(found, str):
                failed[peer] = found
            else:
                candidates.append(found)
        write(folder, database, rules)
        shop.fill(database, there, rules)
        measured, more = in_turns(candidates, database, expected, rounds)
    failed |= more
    report.table(there, rounds, measured, failed, YARDSTICK)
    report.miscounts(measured, expected)
    report.slowest(measured["sanityd, evaluation"])
    if file is not None:
        figures = {name: [asdict(run) for run in runs] for name, runs in measured.items()}
        whole = {"shop": asdict(there), "expected": expected, "measured": figures, "failed": failed}
        file.write_text(json.dumps(whole, indent=1), encoding="utf-8")
    if any(name in failed for name in (one.name for one in candidates if one.exact)):
        raise click.ClickException("sanityd or the queries by hand failed")
