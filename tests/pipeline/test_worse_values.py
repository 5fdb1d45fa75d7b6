"""A measured value that gets ten times worse is notified like a count that doubles."""

from sanityd.store import notification_log
from tests.support.scene import Scene
from tests.support.smtp_server import Mailbox

LEDGER = """
CREATE TABLE ledger (id INTEGER PRIMARY KEY, txn INTEGER, amt INTEGER);
INSERT INTO ledger VALUES (1, 1, 7), (2, 2, 500);
"""
BALANCED = {
    "table": "app.ledger",
    "aggregate": {"expr": "sum(amt)", "equals": 0, "by": "txn"},
    "show": ["value"],
}


def texts(box: Mailbox) -> list[tuple[str, str]]:
    """The event and the text of each mail."""
    listed = []
    for _, mail in box.mails:
        body = mail.get_body(("plain",))
        assert body is not None
        listed.append((mail["X-Sanityd-Event"], " ".join(body.get_content().split())))
    return listed


def test_a_group_that_is_not_the_worst_is_compared_with_itself(scene: Scene, box: Mailbox) -> None:
    scene.sql(LEDGER)
    scene.rules = {"balanced": dict(BALANCED)}
    scene.tick()
    scene.sql("UPDATE ledger SET amt = -69 WHERE id = 1")
    scene.tick(minutes=15)
    assert [event for event, _ in texts(box)] == ["opened"]
    scene.sql("UPDATE ledger SET amt = -70 WHERE id = 1")
    scene.tick(minutes=15)
    [(_, first), (event, text)] = texts(box)
    assert event == "escalated"
    assert (
        "The value of txn 1 is -70 and was 7 at the last mail, "
        "at least ten times as far from what is right."
    ) in text
    assert "when a measured value is ten times as far off" in first
    scene.tick(minutes=15)
    scene.sql("UPDATE ledger SET amt = -699 WHERE id = 1")
    scene.tick(minutes=15)
    assert len(texts(box)) == 2, "it is compared with the last mail"


def test_it_waits_as_long_as_a_count_that_doubles(scene: Scene, box: Mailbox) -> None:
    scene.sql(LEDGER)
    scene.rules = {"balanced": dict(BALANCED)}
    scene.tick()
    scene.sql("UPDATE ledger SET amt = 7000 WHERE id = 1")
    scene.tick(minutes=5)
    assert [event for event, _ in texts(box)] == ["opened"]
    scene.tick(minutes=6)
    assert [event for event, _ in texts(box)] == ["opened", "escalated"]


def test_the_value_of_a_whole_table_needs_no_show(scene: Scene, box: Mailbox) -> None:
    scene.sql(LEDGER)
    scene.rules = {
        "balanced": {"table": "app.ledger", "aggregate": {"expr": "sum(amt)", "equals": 0}}
    }
    scene.tick()
    scene.sql("UPDATE ledger SET amt = 9000 WHERE id = 1")
    scene.tick(minutes=15)
    [_, (event, text)] = texts(box)
    assert event == "escalated"
    assert "The measured value is 9,500 and was 507 at the last mail" in text


def test_a_value_that_is_not_shown_is_neither_stored_nor_compared(
    scene: Scene, box: Mailbox
) -> None:
    scene.sql(LEDGER)
    scene.rules = {"balanced": {**BALANCED, "show": []}}
    scene.tick()
    scene.sql("UPDATE ledger SET amt = 7000 WHERE id = 1")
    scene.tick(minutes=15)
    assert [event for event, _ in texts(box)] == ["opened"]
    incident = scene.incident("balanced")
    assert incident is not None
    with scene.store.read() as connection:
        states = notification_log.delivery_states(connection, [incident.id], incident.opened_at)
    assert [dict(state.last_notification.measured) for state in states.values()] == [{}]  # type: ignore[union-attr]


def test_a_row_of_between_is_compared_by_its_column(scene: Scene, box: Mailbox) -> None:
    scene.sql(LEDGER)
    scene.rules = {"small": {"table": "app.ledger", "between": {"amt": [0, 5]}, "show": ["amt"]}}
    scene.tick()
    scene.sql("UPDATE ledger SET amt = 5000 WHERE id = 2")
    scene.tick(minutes=15)
    [_, (event, text)] = texts(box)
    assert (event, "The value of id 2 is 5,000 and was 500 at the last mail" in text) == (
        "escalated",
        True,
    )
