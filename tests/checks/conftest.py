"""A database with people, and looks at it through the real route."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sanityd.checks import planner
from sanityd.checks.plan import PlannedCheck
from sanityd.rules.load import load
from sanityd.sources.open import open_source
from tests.support.services import owner

Looks = Callable[..., Any]


@pytest.fixture
def do(database_url: str) -> Iterator[Callable[..., None]]:
    """Runs statements as the owner."""
    engine = owner(database_url)

    def run(*statements: str) -> None:
        with engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    run(
        "CREATE TABLE people (id INTEGER PRIMARY KEY, email VARCHAR(80), age INTEGER, secret VARCHAR(80))"
    )
    yield run
    engine.dispose()


@pytest.fixture
def looks(database_url: str, tmp_path: Path) -> Looks:
    """Plans rules in one snapshot: given as mappings, yielded as looks, in order."""

    @contextmanager
    def plan(*rules: Mapping[str, Any], cap: int = 1000) -> Iterator[list[PlannedCheck]]:
        file = {
            "sources": {"app": "${APP}"},
            "alerts": {"limits": {"tracked_rows": cap}},
            "rules": {f"rule-{n}": rule for n, rule in enumerate(rules)},
        }
        (tmp_path / "rules.yaml").write_text(json.dumps(file), encoding="utf-8")
        read = load(tmp_path / "rules.yaml", {"APP": database_url})
        source = open_source(read.sources["app"])
        with source.snapshot() as snapshot:
            yield [planner.plan_check(rule.invariant, snapshot) for rule in read.rules.values()]
        source.close()

    return plan
