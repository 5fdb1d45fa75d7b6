"""What is shown of a row is what the last run read, not what the first one did."""

from typing import Any

from sanityd.store import violations
from tests.support.scene import Scene
from tests.support.smtp_server import Mailbox

LEDGER = """
CREATE TABLE ledger (id INTEGER PRIMARY KEY, txn INTEGER, amt INTEGER);
INSERT INTO ledger VALUES (1, 1, 7), (2, 2, 5), (3, 2, -5);
"""
BALANCED = {
    "table": "app.ledger",
    "aggregate": {"expr": "sum(amt)", "equals": 0, "by": "txn"},
}


def shown(scene: Scene) -> list[Any]:
    """The open rows with what may be shown of them."""
    with scene.store.read() as memory:
        return [({**row.key}, {**row.shown}) for row in violations.open_rows(memory, "balanced")]


def test_the_values_are_those_of_the_last_run(scene: Scene, box: Mailbox) -> None:
    scene.sql(LEDGER)
    scene.rules = {"balanced": {**BALANCED, "show": ["value"]}}
    scene.tick()
    assert shown(scene) == [({"txn": 1}, {"value": 7})]
    scene.sql("UPDATE ledger SET amt = -4993 WHERE id = 1")
    scene.tick()
    assert shown(scene) == [({"txn": 1}, {"value": -4993})]
    scene.sql("UPDATE ledger SET amt = 1 WHERE id = 3")
    scene.tick(minutes=15)
    assert [mail["X-Sanityd-Event"] for _, mail in box.mails] == ["opened", "escalated"]
    [*_, (_, mail)] = box.mails
    body = mail.get_body(("plain",))
    assert body is not None
    text = body.get_content()
    assert "txn 1, value -4993" in text
    assert "value 7" not in text


def test_columns_that_are_shown_from_now_on_fill_in_rows_already_tracked(scene: Scene) -> None:
    scene.sql(LEDGER)
    scene.rules = {"balanced": dict(BALANCED)}
    scene.look()
    assert shown(scene) == [({"txn": 1}, {})]
    scene.rules = {"balanced": {**BALANCED, "show": ["value"]}}
    scene.look()
    assert shown(scene) == [({"txn": 1}, {"value": 7})]
    scene.rules = {"balanced": dict(BALANCED)}
    scene.look()
    assert shown(scene) == [({"txn": 1}, {})], "a value that may not be shown any more is forgotten"


def test_a_run_that_failed_changes_no_value(scene: Scene) -> None:
    scene.sql(LEDGER)
    scene.rules = {"balanced": {**BALANCED, "show": ["value"]}}
    scene.look()
    scene.sql("ALTER TABLE ledger RENAME TO other; UPDATE other SET amt = 9 WHERE id = 1")
    scene.look()
    assert shown(scene) == [({"txn": 1}, {"value": 7})]
