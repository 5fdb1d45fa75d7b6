"""Rules about two sources: nothing waits for what must be confirmed, and it counts for nothing."""

from datetime import UTC, datetime

import pytest

from sanityd import pipeline
from sanityd.model import Cause, Outcome
from sanityd.pipeline import Result
from sanityd.store import incidents, rechecks, runs
from tests.support.scene import ADULTS, Scene, events
from tests.support.smtp_server import Mailbox

HAS_MAIL = {"table": "app.people", "has": {"in": "mail.mails", "on": {"id": "person_id"}}}


@pytest.fixture
def two(scene: Scene) -> Scene:
    """Ten people and their mails in another database; a rule about both, and one beside it."""
    scene.sources = {"mail": {"url": "sqlite:///mail.db"}}
    scene.rules = {"mailed": dict(HAS_MAIL), "adults": {**ADULTS, "severity": "critical"}}
    mails(scene, *range(1, 11))
    return scene


def mails(scene: Scene, *people: int) -> None:
    """These people have mails, the others have none."""
    values = ", ".join(f"({person})" for person in people)
    scene.sql(
        "ATTACH 'FOLDER/mail.db' AS mail; CREATE TABLE IF NOT EXISTS mail.mails (person_id INTEGER);"
        f"DELETE FROM mail.mails; INSERT INTO mail.mails VALUES {values}".replace(
            "FOLDER", str(scene.folder)
        )
    )


def look(scene: Scene, seconds: float = 0) -> list[str]:
    """A pass, so many seconds later. Returns the rules that were recorded."""
    return sorted(result.rule.id for result in scene.look(seconds / 60))


def recheck(scene: Scene) -> Result:
    """A pass half a minute later. Returns what became of the rule about two sources."""
    [result] = [result for result in scene.look(0.5) if result.rule.id == "mailed"]
    return result


def test_the_rule_beside_it_is_mailed_before_the_recheck(two: Scene, box: Mailbox) -> None:
    mails(two, *range(2, 11))
    two.children(5)
    assert look(two) == ["adults"]
    two.mail()
    assert [mail["Subject"].partition("]")[0] for _, mail in box.mails] == ["[CRITICAL"]
    assert look(two, 30) == ["adults", "mailed"]
    two.mail()
    assert [event for _, event in events(box)] == ["opened", "opened"]
    assert two.rows("mailed") == [1]


def test_until_it_is_due_nothing_is_recorded_about_the_rule(two: Scene) -> None:
    mails(two, *range(2, 11))
    look(two)
    with two.store.read() as memory:
        assert runs.last(memory, "mailed", datetime.now(UTC)) is None
        assert incidents.list_open(memory) == []
    assert two.wait(seconds=20) == 0


def test_what_is_gone_at_the_recheck_was_none(two: Scene, box: Mailbox) -> None:
    mails(two, *range(2, 11))
    look(two)
    mails(two, *range(1, 10))
    mailed = recheck(two)
    assert (mailed.run.verdict, mailed.run.violations, box.mails) == ("passed", 0, [])
    # The row that came meanwhile was found by one evaluation only.
    assert look(two, 1) == ["adults"]


def test_an_incident_is_not_resolved_while_other_rows_wait(two: Scene, box: Mailbox) -> None:
    """Its own row was repaired; whether it is over depends on the row that came."""
    mails(two, *range(2, 11))
    look(two)
    look(two, 30)
    opened = two.incident("mailed")
    mails(two, *range(1, 10))
    assert look(two, 300) == ["adults"]
    assert two.incident("mailed") == opened
    mailed = recheck(two)
    assert mailed.incident is not None
    assert opened is not None
    assert (mailed.incident.id, two.rows("mailed")) == (opened.id, [10])
    two.mail()
    assert [event for _, event in events(box)] == ["opened"]


def test_a_recheck_without_an_answer_confirms_and_resolves_nothing(two: Scene) -> None:
    mails(two, *range(2, 11))
    look(two)
    (two.folder / "mail.db").rename(two.folder / "away.db")
    mailed = recheck(two)
    assert mailed.run.outcome in (Outcome.ERRORED, Outcome.SKIPPED)
    (two.folder / "away.db").rename(two.folder / "mail.db")
    assert two.incident("mailed", Cause.VIOLATED) is None
    # It begins anew, with two evaluations and a recheck.
    assert look(two, 10) == ["adults"]
    assert look(two, 30) == ["adults", "mailed"]
    assert two.rows("mailed") == [1]


def test_what_nobody_rechecked_for_long_begins_anew(two: Scene) -> None:
    mails(two, *range(2, 11))
    look(two)
    assert look(two, 3600) == ["adults"]
    assert look(two, 30) == ["adults", "mailed"]


def test_another_meaning_is_not_confirmed_by_what_the_old_one_found(two: Scene) -> None:
    mails(two, *range(2, 11))
    look(two)
    two.rules["mailed"] = {**HAS_MAIL, "where": "id < 9"}
    assert look(two, 30) == ["adults"]
    assert look(two, 30) == ["adults", "mailed"]


def test_a_recheck_goes_with_its_rule(two: Scene) -> None:
    mails(two, *range(2, 11))
    look(two)
    meaning = two.load().rules["mailed"].meaning
    look(two, 30)
    mails(two, *range(3, 11))
    look(two, 5)
    del two.rules["mailed"]
    pipeline.forget_removed(two.load(), two.store, datetime.now(UTC))
    with two.store.read() as memory:
        assert rechecks.of_rules(memory, {"mailed": meaning}, datetime.now(UTC)) == {}


def test_without_confirmation_the_first_evaluation_counts(two: Scene) -> None:
    two.rules["mailed"] = {**HAS_MAIL, "confirm": "no"}
    mails(two, *range(2, 11))
    assert look(two) == ["adults", "mailed"]
