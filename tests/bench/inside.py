"""What the benchmark runs in a process of its own: `python -m tests.bench.inside WAY RULES`.

Prints one line of JSON: what each rule's count is, the seconds from the first connection on, and
the peak memory.
"""

import contextlib
import io
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from sanityd import cli, pipeline
from sanityd.rules.load import load
from tests.bench import optimisations
from tests.bench.peer.told import peak


def evaluate(rules: Path) -> dict[str, Any]:
    """All rules in one snapshot, as `check` and `serve` look at them; nothing is recorded."""
    read = load(rules)
    began = time.perf_counter()
    runs = list(pipeline.evaluate(read, list(read.rules.values()), datetime.now(UTC)))
    seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "counts": {
            run.rule: f"{run.outcome}: {run.error}" if run.error else run.violations for run in runs
        },
        "per_rule": {run.rule: (run.kind, run.seconds, run.statements) for run in runs},
    }


def check(rules: Path) -> dict[str, Any]:
    """The command itself; it records nothing."""
    return _command(rules, "--dry-run")


def record(rules: Path) -> dict[str, Any]:
    """The command itself, with what it remembers beside the rules."""
    return _command(rules)


def _command(rules: Path, *options: str) -> dict[str, Any]:
    sys.argv = ["sanityd", "check", *options, "--format", "json", "--rules", str(rules)]
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        cli.main()
    report = json.loads(printed.getvalue())
    counts = {rule["id"]: rule["error"] or rule["violations"] for rule in report["rules"]}
    return {"seconds": report["summary"]["seconds"], "counts": counts}


def hand(rules: Path) -> dict[str, Any]:
    """The queries that a good engineer would write, one after the other, in one connection; all
    keys are fetched."""
    spec = _spec(rules)
    began = time.perf_counter()
    with psycopg.connect(**_login(spec)) as connection:
        counts = {
            one["id"]: len(connection.execute(one["sql"]).fetchall()) for one in spec["rules"]
        }
    return {"seconds": time.perf_counter() - began, "counts": counts}


def fused(rules: Path) -> dict[str, Any]:
    """The same, but one statement for the conditions on rows of a table, which gathers the keys of
    each."""
    return _fused(_spec(rules), "fused", lambda keys: len(keys or ()))


def counted(rules: Path) -> dict[str, Any]:
    """The same, but that statement only counts: no keys of these."""
    return _fused(_spec(rules), "counted", int)


def _fused(spec: dict[str, Any], way: str, count: Callable[[Any], int]) -> dict[str, Any]:
    counts: dict[str, int] = {}
    began = time.perf_counter()
    with psycopg.connect(**_login(spec)) as connection:
        for sql, names in spec[way].items():
            row = connection.execute(sql).fetchone()
            assert row is not None
            counts |= {name: count(value) for name, value in zip(names, row, strict=True)}
        for one in spec["rules"]:
            if one["id"] not in counts:
                counts[one["id"]] = len(connection.execute(one["sql"]).fetchall())
    return {"seconds": time.perf_counter() - began, "counts": counts}


def _spec(rules: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(rules.with_name("spec.json").read_text(encoding="utf-8"))
    return read


def _login(spec: dict[str, Any]) -> dict[str, Any]:
    login = spec["login"]
    return {
        **{name: login[name] for name in ("host", "port", "user", "password")},
        "dbname": login["database"],
    }


if __name__ == "__main__":
    optimisations.switch_off()
    result = {one.__name__: one for one in (evaluate, check, record, hand, fused, counted)}[
        sys.argv[1]
    ](Path(sys.argv[2]))
    sys.stdout.write(json.dumps({**result, "peak": peak()}) + "\n")
