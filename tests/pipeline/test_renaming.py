"""`formerly: old-id`: a renamed rule keeps its incidents, decisions and history."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from sanityd import pipeline
from sanityd.daemon import rule_changes
from sanityd.errors import RuleError
from sanityd.model import NoiseState, Outcome
from sanityd.notifications import timeline, triage
from sanityd.store import noise_state, runs, tables
from tests.support.scene import ADULTS, Scene, events
from tests.support.smtp_server import Mailbox

#: Every column that holds the id of a rule; the audit keeps what was.
HOLDERS = [
    table
    for table in tables.metadata.sorted_tables
    if "rule" in table.c and table is not tables.audit
]


def adopt(scene: Scene) -> None:
    """As `check` and a reload of `serve` do it."""
    rules, at = scene.load(), datetime.now(UTC)
    rule_changes.adopt(rules, scene.store, at)
    pipeline.forget_removed(rules, scene.store, at)


def rename(scene: Scene, **options: Any) -> None:
    """The rule has another id from now on."""
    scene.rules = {"grown-ups": {**ADULTS, **options}}
    adopt(scene)


def holders(scene: Scene, rule: str) -> list[str]:
    """The tables of the store that know the rule."""
    with scene.store.read() as memory:
        return [
            table.name
            for table in HOLDERS
            if memory.execute(select(table.c.rule).where(table.c.rule == rule)).first()
        ]


def test_a_renamed_rule_goes_on_and_nobody_hears_of_it_again(scene: Scene, box: Mailbox) -> None:
    adopt(scene)
    scene.children(1, 2)
    before = scene.tick().incident
    rename(scene, formerly="adults")
    after = scene.tick().incident
    assert before is not None
    assert after is not None
    assert (after.id, after.rule, after.open) == (before.id, "grown-ups", True)
    assert (scene.rows("grown-ups"), scene.rows("adults")) == ([1, 2], [])
    scene.children()
    scene.tick()
    assert [event for _, event in events(box)] == ["opened", "resolved"]
    assert holders(scene, "adults") == []


def test_decisions_noise_and_history_are_carried_over(scene: Scene) -> None:
    adopt(scene)
    scene.children(1, 2)
    scene.tick()
    at = datetime.now(UTC)
    with scene.store.write() as memory:
        noise_state.save(memory, "adults", NoiseState(steps=1), at)
        act = triage.Act("ada", "known", at)
        triage.accept_rows(memory, scene.load(), "adults", [{"id": "1"}], act)
    rename(scene, formerly=["adults", "never-was"])
    result = scene.tick()
    assert (result.run.violations, result.accepted) == (2, 1)
    with scene.store.read() as memory:
        assert noise_state.of_rule(memory, "grown-ups").steps == 1
        assert runs.last_run_times(memory, ["adults"], at) == {}
        since = at - timedelta(days=1)
        told = timeline.events_since(memory, "grown-ups", since, scene.load().counted)
    assert {"rule added", "rule renamed"} <= {event.what for event in told}


def test_a_rename_is_carried_over_once(scene: Scene) -> None:
    adopt(scene)
    scene.children(1)
    scene.tick()
    rename(scene, formerly="adults")
    scene.tick()
    rules, at = scene.load(), datetime.now(UTC)
    assert rule_changes.adopt(rules, scene.store, at) == {}
    with scene.store.read() as memory:
        assert pipeline.renames(memory, rules) == []
        assert pipeline.suggested_renames(memory, rules) == []


def test_a_rename_that_is_told_late_adds_the_history_to_what_goes_on(scene: Scene) -> None:
    adopt(scene)
    scene.children(1)
    scene.tick()
    rename(scene)
    new = scene.tick().incident
    rename(scene, formerly="adults")
    after = scene.tick().incident
    assert new is not None
    assert after is not None
    assert (after.id, scene.rows("grown-ups"), holders(scene, "adults")) == (new.id, [1], [])


def test_another_meaning_is_closed_as_a_changed_rule(scene: Scene, box: Mailbox) -> None:
    adopt(scene)
    scene.children(1)
    before = scene.tick().incident
    rename(scene, formerly="adults", where="id > 1")
    result = scene.tick()
    assert before is not None
    assert (result.run.outcome, result.incident) == (Outcome.COMPLETE, None)
    assert scene.closed(before.id).rule == "grown-ups"
    assert [event for _, event in events(box)] == ["opened"]


def test_rows_that_are_not_confirmed_yet_are_carried_over(scene: Scene) -> None:
    scene.rules = {"adults": {**ADULTS, "confirm": "2 runs"}}
    adopt(scene)
    scene.children(1)
    assert scene.tick().run.suspects == 1
    rename(scene, formerly="adults", confirm="2 runs")
    assert scene.tick().run.violations == 1


def test_a_rename_is_suggested_where_the_meaning_stays(scene: Scene) -> None:
    adopt(scene)
    scene.tick()
    scene.rules = {"grown-ups": dict(ADULTS), "others": {"table": "app.people", "unique": "id"}}
    with scene.store.read() as memory:
        assert pipeline.suggested_renames(memory, scene.load()) == [("adults", "grown-ups")]
    scene.rules = {"a": dict(ADULTS), "b": dict(ADULTS)}
    with scene.store.read() as memory:
        assert pipeline.suggested_renames(memory, scene.load()) == []


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"a": {"formerly": "a"}}, "there still is a rule `a`"),
        ({"a": {"formerly": "b"}, "b": {}}, "there still is a rule `b`"),
        ({"a": {"formerly": "c"}, "b": {"formerly": ["x", "c"]}}, "claimed by rule `a`, too"),
    ],
)
def test_a_former_id_belongs_to_one_rule(scene: Scene, rules: dict[str, Any], message: str) -> None:
    scene.rules = {name: {**ADULTS, **options} for name, options in rules.items()}
    with pytest.raises(RuleError) as error:
        scene.load()
    [problem] = error.value.problems
    assert message in problem.message


def test_rules_of_for_each_have_their_former_ids_each(scene: Scene) -> None:
    scene.rules = {
        "grown-ups": {
            **ADULTS,
            "table": "app.{t}",
            "for_each": {"t": ["people"]},
            "formerly": "adults",
        }
    }
    [rule] = scene.load().rules.values()
    assert (rule.id, rule.formerly) == ("grown-ups[people]", ("adults[people]",))
