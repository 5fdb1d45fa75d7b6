"""`confirm: for 5m` and `keep_open: 10m`: how long it must be so before it counts, or is over."""

from typing import Any

import pytest

from sanityd.daemon.rule_changes import imprint
from sanityd.errors import RuleError
from sanityd.model import Outcome, Reason
from tests.support.scene import ADULTS, Scene, events
from tests.support.smtp_server import Mailbox


def adults(scene: Scene, **options: Any) -> None:
    """One rule, with these options."""
    scene.rules = {"adults": {**ADULTS, **options}}


def told(box: Mailbox) -> list[str]:
    """What the team got, in order."""
    return [event for _, event in events(box)]


def test_a_row_counts_when_every_run_for_so_long_found_it(scene: Scene, box: Mailbox) -> None:
    adults(scene, confirm="for 5m")
    scene.children(1)
    assert scene.tick(2).run.suspects == 1
    scene.children(1, 2)
    assert scene.tick(2).run.suspects == 2
    scene.children(2)
    assert (scene.tick(2).run.violations, scene.tick(2).run.violations) == (0, 0)
    result = scene.tick(1)
    assert (result.run.violations, result.run.suspects, scene.rows()) == (1, 0, [2])
    assert told(box) == ["opened"]


def test_a_run_without_an_answer_neither_confirms_nor_forgets(scene: Scene) -> None:
    adults(scene, confirm="for 10m")
    scene.children(1)
    scene.tick()
    scene.sql("ALTER TABLE people RENAME TO persons")
    assert scene.tick().run.outcome is Outcome.ERRORED
    scene.sql("ALTER TABLE persons RENAME TO people")
    assert scene.tick().run.violations == 1


def test_rows_beyond_the_cap_count_after_as_long(scene: Scene) -> None:
    adults(scene, confirm="for 10m")
    scene.limits = {"tracked_rows": 2}
    scene.children(1, 2, 3, 4, 5)
    assert [scene.tick().run.violations for _ in range(5)] == [0, 0, 5, 5, 5]


def test_an_incident_is_over_when_the_rule_held_for_so_long(scene: Scene, box: Mailbox) -> None:
    adults(scene, keep_open="10m")
    scene.children(1, 2)
    incident = scene.tick().incident
    assert incident is not None
    scene.children()
    result = scene.tick()
    assert (result.run.verdict, result.severity, result.reasons) == (
        "passed",
        None,
        (Reason.KEPT_OPEN,),
    )
    scene.children(1)
    assert scene.tick().reasons == (Reason.UNCHANGED,)
    scene.children()
    assert [scene.tick().reasons for _ in range(3)] == [
        (Reason.KEPT_OPEN,),
        (Reason.KEPT_OPEN,),
        (Reason.RESOLVED,),
    ]
    assert told(box) == ["opened", "resolved"]
    assert scene.closed(incident.id).opened_at == incident.opened_at


def test_what_holds_is_not_reminded_of_and_a_failed_run_ends_nothing(
    scene: Scene, box: Mailbox
) -> None:
    adults(scene, keep_open="3d", notify=["team"])
    scene.children(1)
    scene.tick()
    scene.children()
    scene.tick()
    assert scene.wait(days=2) == 0
    scene.sql("ALTER TABLE people RENAME TO persons")
    scene.tick(24 * 60)
    assert scene.incident() is not None
    scene.sql("ALTER TABLE persons RENAME TO people")
    scene.tick()
    assert scene.incident() is None


@pytest.mark.parametrize("option", [{"confirm": "for ever"}, {"keep_open": "soon"}])
def test_wrong_durations_are_errors(scene: Scene, option: dict[str, str]) -> None:
    adults(scene, **option)
    with pytest.raises(RuleError, match="duration"):
        scene.load()


def test_only_rules_with_the_options_are_changed_by_them(scene: Scene) -> None:
    """The hash of other rules is the same as in earlier versions."""
    adults(scene)
    plain = scene.load().rules["adults"]
    assert "lasting" not in repr(plain.invariant.confirm)
    adults(scene, keep_open="10m")
    kept = imprint(scene.load().rules["adults"])
    adults(scene, confirm="for 5m")
    assert len({imprint(plain), kept, imprint(scene.load().rules["adults"])}) == 3
