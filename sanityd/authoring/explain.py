"""Explain what `check` would do now, by source. Reads the catalog and estimates, but no row."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sanityd.checks import planner
from sanityd.checks.explain import PlanStep, steps, without_mistakes
from sanityd.errors import SourceError
from sanityd.rules.rule import Rule, RuleSet
from sanityd.sources.snapshot_pool import SnapshotPool


@dataclass(frozen=True, slots=True)
class Explanation:
    """The plan of one source."""

    source: str
    database: str
    rules: int
    steps: tuple[PlanStep, ...] = ()
    #: Error and hint of each rule that can't be checked.
    refused: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    #: Error and hint when the source doesn't answer.
    down: tuple[str, str] | None = None


def explain(rules: RuleSet, picked: Iterable[Rule]) -> list[Explanation]:
    """Return the plans for some rules."""
    return [_of_source(rules, source, batch) for source, batch in rules.by_source(picked).items()]


def _of_source(rules: RuleSet, source: str, batch: list[Rule]) -> Explanation:
    try:
        with SnapshotPool(rules.sources) as pool:
            snapshot = pool.snapshot(source)
            invariants = [rule.invariant for rule in batch]
            plan = without_mistakes(planner.plan(invariants, snapshot, pool.snapshot))
            refused = {rule: (error.message, error.hint) for rule, error in plan.refused.items()}
            name = snapshot.source.dialect.name
            return Explanation(source, name, len(batch), tuple(steps(plan)), refused)
    except SourceError as error:
        return Explanation(source, "", len(batch), down=(error.message, error.hint))


def as_json(explanations: Iterable[Explanation]) -> dict[str, Any]:
    """Return the output of `explain --format json`."""
    return {"version": 1, "sources": [_source_as_json(item) for item in explanations]}


def _source_as_json(explanation: Explanation) -> dict[str, Any]:
    refused = [
        {"rule": rule_id, "error": error, "hint": hint}
        for rule_id, (error, hint) in explanation.refused.items()
    ]
    return {
        "source": explanation.source,
        "database": explanation.database or None,
        "rules": explanation.rules,
        "error": explanation.down[0] if explanation.down else None,
        "steps": [step_as_json(step) for step in explanation.steps],
        "refused": refused,
    }


def step_as_json(step: PlanStep) -> dict[str, Any]:
    """Return one step of a plan."""
    return {
        "form": step.form,
        "table": step.table,
        "rules": list(step.rules),
        "reason": step.reason,
        "statements": step.statements,
        "rows": step.rows,
        "cost": step.cost,
        "sql": list(step.sql),
    }
