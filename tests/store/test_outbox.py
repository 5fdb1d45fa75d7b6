"""Messages are never lost, doubled or out of order, whoever dies at whatever moment."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from sanityd.errors import DeliveryError, StoreError
from sanityd.model import (
    Alert,
    ClaimedMessage,
    Incident,
    LastNotification,
    Message,
    News,
    Reason,
    RuleFacts,
    Severity,
)
from sanityd.store import incidents, notification_log, outbox, outbox_summary, tables
from sanityd.store.open import Store
from sanityd.store.outbox import LEASE, PAUSES, RECONNECT, Outbox
from sanityd.store.outbox_summary import Summary

AT = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
DOWN = DeliveryError("the server is down", retryable=True, stage="data")
AWAY = DeliveryError("the server does not answer", retryable=True, stage="connect")
LOST = DeliveryError("the answer was lost", retryable=True, uncertain=True, stage="dot")


def put(
    store: Store,
    name: str,
    reason: Reason = Reason.OPENED,
    *,
    to: str = "ada@x.io",
    incident: str = "one",
    n: int = 3,
) -> bool:
    """Ask for a message; its Message-ID is its name."""
    with store.write() as memory:
        return enqueue(memory, name, reason, to=to, incident=incident, n=n)


def enqueue(
    memory: Connection,
    name: str,
    reason: Reason = Reason.OPENED,
    *,
    to: str = "ada@x.io",
    incident: str = "one",
    n: int = 3,
) -> bool:
    """The same, in a transaction that is begun."""
    message = Message(
        f"<{name}>", "team", to, name, "text", "<p>html", {"X-A": "b"}, {"n": n}, name
    )
    alert = Alert(
        reason, AT, tuple(tells(one, reason, n) for one in incident.split()), "team", name
    )
    return outbox.enqueue(
        memory, message, alert, at=AT, not_before=AT, expires_at=AT + timedelta(hours=72)
    )


def tells(incident: str, reason: Reason, n: int) -> News:
    """What a message says of one incident."""
    about = Incident(incident, "r", "app", AT, Severity.ERROR, n)
    return News(reason, RuleFacts("r", "unique", "app", "app.people", "R"), about)


def claim(store: Store, after: timedelta = timedelta(0)) -> ClaimedMessage:
    """What is due; there must be something."""
    claimed = Outbox(store).claim(AT + after)
    assert claimed is not None
    return claimed


def rows(store: Store) -> list[dict[str, Any]]:
    """All that is kept, column by column."""
    with store.read() as memory:
        return [
            dict(row)
            for row in memory.execute(
                select(tables.outbox).order_by(tables.outbox.c.seq)
            ).mappings()
        ]


def states(store: Store) -> dict[str, str]:
    """What became of each message."""
    return {row["subject"]: row["state"] for row in rows(store)}


def told(store: Store, incident: str = "one") -> dict[str, tuple[Reason, int]]:
    """What each recipient knows."""
    with store.read() as memory:
        known = notification_log.delivery_states(memory, [incident], AT)
    return {
        who: (heard.last_notification.reason, heard.last_notification.violations)
        for (_, _, who), heard in known.items()
        if heard.last_notification
    }


def test_the_same_news_is_asked_for_once(store: Store) -> None:
    assert [put(store, "a"), put(store, "a", n=9), put(store, "b")] == [True, False, True]
    assert [(row["subject"], row["data"]) for row in rows(store)] == [
        ("a", {"n": 3}),
        ("b", {"n": 3}),
    ]


def test_news_that_was_sent_is_not_asked_for_again(store: Store) -> None:
    put(store, "a")
    Outbox(store).sent(claim(store), AT)
    assert not put(store, "a")
    assert Outbox(store).claim(AT) is None


def test_the_same_news_is_asked_for_once_when_two_ask_in_the_same_moment(store: Store) -> None:
    """Two replicas see the same rows: the second waits for the first, and has nothing to add."""
    asked: list[bool | StoreError] = []

    def ask() -> None:
        try:
            asked.append(put(store, "a"))
        except StoreError as error:
            asked.append(error)

    with store.write() as memory:
        assert enqueue(memory, "a")
        second = threading.Thread(target=ask)
        second.start()
        second.join(0.5)  # it can't end before we do
    second.join(30)
    assert (asked, len(rows(store))) == ([False], 1)


def test_a_message_is_claimed_by_one_and_comes_back_whole(store: Store) -> None:
    put(store, "a")
    claimed = claim(store)
    assert claimed.message == Message(
        "<a>", "team", "ada@x.io", "a", "text", "<p>html", {"X-A": "b"}, {"n": 3}, "a"
    )
    assert (claimed.reason, claimed.attempts) == (Reason.OPENED, 1)
    assert Outbox(store).claim(AT) is None


def test_a_delivered_message_is_told_and_gone(store: Store) -> None:
    put(store, "a")
    Outbox(store).sent(claim(store), AT)
    assert (states(store), told(store)) == ({"a": "sent"}, {"ada@x.io": (Reason.OPENED, 3)})
    assert Outbox(store).claim(AT + timedelta(days=9)) is None


def test_a_failed_message_waits_longer_each_time(store: Store) -> None:
    put(store, "a")
    now = timedelta(0)
    for pause in (*PAUSES, PAUSES[-1]):
        Outbox(store).retry(claim(store, now), DOWN, AT + now)
        assert told(store) == {}
        assert Outbox(store).claim(AT + now + pause - timedelta(seconds=1)) is None
        now += pause
    assert claim(store, now).message.message_id == "<a>"


def test_the_return_of_a_server_is_noticed_within_half_a_minute(store: Store) -> None:
    """With the 5 s between two deliveries; however long it was away, and with one attempt for all
    messages."""
    for name in ("a", "b", "c"):
        put(store, name, incident=name)
    now = timedelta(0)
    assert RECONNECT.total_seconds() <= 20
    for _ in range(8):
        tried = claim(store, now)
        assert (tried.message.subject, tried.attempts <= 2) == ("a", True)
        Outbox(store).retry(tried, AWAY, AT + now)
        assert Outbox(store).claim(AT + now + RECONNECT - timedelta(seconds=1)) is None
        now += RECONNECT
    assert {claim(store, now).message.subject for _ in range(3)} == {"a", "b", "c"}


def test_only_the_channel_of_the_server_waits_for_it(store: Store) -> None:
    put(store, "a")
    put(store, "b", incident="two")
    with store.write() as memory:
        away = tables.outbox.c.subject == "b"
        memory.execute(update(tables.outbox).where(away).values(channel="another"))
    Outbox(store).retry(claim(store), AWAY, AT)
    assert claim(store).message.subject == "b"


def test_a_message_that_was_put_off_for_hours_is_due_when_the_server_is_tried(store: Store) -> None:
    for name in ("a", "b"):
        put(store, name, incident=name)
        Outbox(store).retry(replace(claim(store), attempts=6), DOWN, AT)
    with store.write() as memory:
        memory.execute(update(tables.outbox).values(stage="connect"))
        later = tables.outbox.c.subject == "a"
        memory.execute(update(tables.outbox).where(later).values(not_before=AT))
    Outbox(store).retry(claim(store), AWAY, AT)
    assert {claim(store, RECONNECT).message.subject for _ in range(2)} == {"a", "b"}


def test_all_that_waits_can_be_claimed_now_and_each_message_once(store: Store) -> None:
    for name in ("a", "b"):
        put(store, name, incident=name)
        Outbox(store).retry(claim(store), DOWN, AT)
    now = AT + timedelta(seconds=1)
    with store.write() as memory:
        outbox.make_due(memory, now)
    box = Outbox(store, due_at=now)
    much_later = now + timedelta(days=1)
    for name in ("a", "b"):
        claimed = box.claim(much_later)
        assert claimed is not None
        assert claimed.message.subject == name
        box.retry(claimed, DOWN, much_later)
    assert box.claim(much_later + timedelta(hours=1)) is None


def test_an_incidents_messages_reach_one_recipient_in_order(store: Store) -> None:
    put(store, "first")
    put(store, "second", Reason.ESCALATED)
    put(store, "other", to="bo@x.io")
    first = claim(store)
    assert claim(store).message.subject == "other"
    assert Outbox(store).claim(AT) is None
    Outbox(store).retry(first, DOWN, AT)
    assert Outbox(store).claim(AT) is None
    Outbox(store).sent(claim(store, PAUSES[0]), AT)
    assert claim(store, PAUSES[0]).message.subject == "second"


def test_one_incident_does_not_hold_up_another(store: Store) -> None:
    put(store, "first")
    put(store, "second", incident="two")
    Outbox(store).retry(claim(store), DOWN, AT)
    assert claim(store).message.subject == "second"


def test_what_a_dead_worker_had_is_claimed_again_when_its_lease_ends(store: Store) -> None:
    put(store, "a")
    claim(store)
    assert Outbox(store).claim(AT + LEASE) is None
    again = claim(store, LEASE + timedelta(seconds=1))
    assert (again.message.message_id, again.attempts) == ("<a>", 2)


@pytest.mark.parametrize("late", ["sent", "retry", "uncertain", "dead"])
def test_a_worker_that_lost_its_lease_changes_nothing(store: Store, late: str) -> None:
    put(store, "a")
    lost = claim(store)
    later = LEASE + timedelta(seconds=1)
    ours = claim(store, later)
    assert ours.fence > lost.fence
    before = rows(store)
    end = getattr(Outbox(store), late)
    end(lost, AT + later) if late == "sent" else end(lost, DOWN, AT + later)
    assert rows(store) == before
    Outbox(store).sent(ours, AT + later)
    assert states(store) == {"a": "sent"}


@pytest.mark.parametrize("reason", [Reason.OPENED, Reason.ESCALATED])
def test_uncertain_bad_news_is_tried_once_more_and_then_counts_as_told(
    store: Store, reason: Reason
) -> None:
    put(store, "a", reason)
    Outbox(store).uncertain(claim(store), LOST, AT)
    assert (states(store), told(store)) == ({"a": "pending"}, {"ada@x.io": (reason, 3)})
    assert Outbox(store).claim(AT + PAUSES[0] - timedelta(seconds=1)) is None
    again = claim(store, PAUSES[0])
    assert again.message.message_id == "<a>"
    Outbox(store).uncertain(again, LOST, AT + PAUSES[0])
    assert (states(store), told(store)) == ({"a": "uncertain"}, {"ada@x.io": (reason, 3)})
    assert Outbox(store).claim(AT + timedelta(days=1)) is None


def test_what_may_have_arrived_was_told_even_if_the_second_try_is_refused(store: Store) -> None:
    put(store, "a")
    Outbox(store).uncertain(claim(store), LOST, AT)
    Outbox(store).dead(claim(store, PAUSES[0]), DOWN, AT + PAUSES[0])
    assert (states(store), told(store)) == ({"a": "dead"}, {"ada@x.io": (Reason.OPENED, 3)})


def test_an_uncertain_end_is_not_tried_again(store: Store) -> None:
    """Twice the good news is noise; that it may be missing hides nothing."""
    put(store, "a")
    Outbox(store).sent(claim(store), AT)
    put(store, "b", Reason.RESOLVED)
    Outbox(store).uncertain(claim(store), LOST, AT)
    assert states(store) == {"a": "sent", "b": "uncertain"}


def test_an_end_is_not_told_to_whom_no_beginning_was_told(store: Store) -> None:
    put(store, "a")
    put(store, "b", Reason.RESOLVED)
    Outbox(store).dead(claim(store), DOWN, AT)
    assert Outbox(store).claim(AT) is None
    assert states(store) == {"a": "dead", "b": "cancelled"}


def test_an_end_waits_for_a_beginning_that_waits(store: Store) -> None:
    put(store, "a")
    put(store, "b", Reason.RESOLVED)
    Outbox(store).retry(claim(store), DOWN, AT)
    assert Outbox(store).claim(AT) is None
    assert states(store) == {"a": "pending", "b": "pending"}
    Outbox(store).sent(claim(store, PAUSES[0]), AT)
    assert claim(store, PAUSES[0]).message.subject == "b"


def test_who_was_told_of_the_beginning_does_not_decide_for_others(store: Store) -> None:
    put(store, "a")
    Outbox(store).sent(claim(store), AT)
    put(store, "b", Reason.RESOLVED, to="bo@x.io")
    put(store, "c", Reason.RESOLVED, incident="two")
    put(store, "d", Reason.RESOLVED)
    assert claim(store).message.subject == "d"
    assert states(store) == {"a": "sent", "b": "cancelled", "c": "cancelled", "d": "leased"}


def test_what_was_taken_back_began_nothing(store: Store) -> None:
    put(store, "a")
    with store.write() as memory:
        outbox.cancel_pending(memory, "one", AT)
    put(store, "b", Reason.RESOLVED)
    assert Outbox(store).claim(AT) is None
    assert states(store) == {"a": "cancelled", "b": "cancelled"}


def test_each_recipient_knows_what_reached_them_last(store: Store) -> None:
    for name, to, number in (
        ("a", "ada@x.io", 3),
        ("b", "bo@x.io", 3),
        ("c", "ada@x.io", 9),
        ("d", "cy@x.io", 3),
    ):
        put(store, name, to=to, n=number)
    put(store, "e", incident="two")
    for _ in range(3):
        Outbox(store).sent(claim(store), AT)
    Outbox(store).dead(claim(store), DOWN, AT)
    with store.read() as memory:
        known = notification_log.delivery_states(memory, ["one"], AT)
    ada, bo = (
        LastNotification(Reason.OPENED, n, Severity.ERROR, times, AT, 0, root)
        for n, times, root in FIRSTS
    )
    assert {
        who: heard.last_notification
        for (_, _, who), heard in known.items()
        if heard.last_notification
    } == {
        "ada@x.io": ada,
        "bo@x.io": bo,
    }


#: What two recipients know after `a`, `b` and `c` were sent.
FIRSTS = ((9, 2, "<a>"), (3, 1, "<b>"))


def test_what_is_being_sent_counts_as_told_until_it_fails(store: Store) -> None:
    put(store, "a")
    assert told(store) == {}
    claimed = claim(store)
    assert told(store) == {"ada@x.io": (Reason.OPENED, 3)}
    Outbox(store).retry(claimed, DOWN, AT)
    assert told(store) == {}


def test_an_end_is_told_where_the_beginning_may_have_arrived(store: Store) -> None:
    put(store, "a")
    Outbox(store).uncertain(claim(store), LOST, AT)
    with store.write() as memory:
        assert outbox.cancel_pending(memory, "one", AT) == 1
    put(store, "b", Reason.RESOLVED)
    assert claim(store).message.subject == "b"


def test_what_another_pass_is_sending_is_not_left_behind_by_this_one(store: Store) -> None:
    """Forty first passes at once send one mail; thirty-nine of them said that it could not be
    delivered."""

    def left(at: datetime) -> int:
        with store.read() as memory:
            return outbox_summary.count_undelivered(memory, at)

    put(store, "a")
    assert (left(AT), left(AT - timedelta(seconds=1))) == (1, 0)
    claimed = claim(store)
    assert left(AT) == 0
    Outbox(store).retry(claimed, DOWN, AT)
    assert left(AT - timedelta(seconds=1)) == 1


def test_what_waits_can_be_taken_back_but_not_what_is_being_sent(store: Store) -> None:
    put(store, "a")
    put(store, "b", to="bo@x.io")
    put(store, "c", incident="two")
    claim(store)
    with store.write() as memory:
        assert outbox.cancel_pending(memory, "one", AT) == 1
    assert states(store) == {"a": "leased", "b": "cancelled", "c": "pending"}


def over(store: Store, *names: str, at: datetime | None = AT) -> None:
    """These incidents are over; with `at=None` they go on."""
    with store.write() as memory:
        for name in names:
            about = Incident(name, f"rule-{name}", "app", AT, Severity.ERROR, 3, resolved_at=at)
            incidents.save(memory, about)


def test_a_message_about_several_incidents_is_taken_back_when_all_are_over(store: Store) -> None:
    over(store, "one", "two", at=None)
    put(store, "both", incident="one two")
    over(store, "one")
    with store.write() as memory:
        assert outbox.cancel_pending(memory, "one", AT) == 0
    over(store, "two")
    with store.write() as memory:
        assert outbox.cancel_pending(memory, "two", AT) == 1


def test_a_message_about_several_incidents_is_told_of_each_and_in_order_with_each(
    store: Store,
) -> None:
    put(store, "both", incident="one two")
    put(store, "later", Reason.ESCALATED, incident="two", n=9)
    first = claim(store)
    assert Outbox(store).claim(AT) is None
    Outbox(store).sent(first, AT)
    Outbox(store).sent(claim(store), AT)
    assert told(store, "one") == {"ada@x.io": (Reason.OPENED, 3)}
    assert told(store, "two") == {"ada@x.io": (Reason.ESCALATED, 9)}


def heard(store: Store, after: timedelta = timedelta(0)) -> notification_log.DeliveryState:
    """What Ada knows of the first incident."""
    with store.read() as memory:
        return notification_log.delivery_states(memory, ["one"], AT + after)[
            "one", "team", "ada@x.io"
        ]


def test_reminders_are_counted_since_the_last_news(store: Store) -> None:
    for name, reason in (("a", Reason.OPENED), ("b", Reason.REMINDER), ("c", Reason.REMINDER)):
        put(store, name, reason)
        Outbox(store).sent(claim(store), AT)
    known = heard(store).last_notification
    assert known is not None
    assert (known.reminders, known.sequence, known.root) == (2, 3, "<a>")
    put(store, "d", Reason.ESCALATED)
    Outbox(store).sent(claim(store), AT)
    again = heard(store).last_notification
    assert again is not None
    assert again.reminders == 0


def test_news_that_was_given_up_is_news_again_after_a_while_and_ever_more_rarely(
    store: Store,
) -> None:
    put(store, "a")
    Outbox(store).dead(claim(store), DOWN, AT)
    assert [heard(store, timedelta(minutes=n)).lost for n in (0, 59, 60)] == [0, 0, 1]
    put(store, "b")
    Outbox(store).dead(claim(store), DOWN, AT)
    assert [heard(store, timedelta(minutes=n)).lost for n in (60, 119, 120)] == [1, 1, 2]


def test_what_piles_up_behind_a_dead_server_is_a_backlog(store: Store) -> None:
    put(store, "a")
    put(store, "b", incident="two")
    put(store, "c", incident="two", to="bo@x.io")
    with store.read() as memory:
        assert notification_log.backlog(memory) == {}
    Outbox(store).retry(claim(store), DOWN, AT)
    with store.write() as memory:
        piled = notification_log.backlog(memory)
        [messages] = piled.values()
        assert sorted(notification_log.incidents_in_messages(memory, messages)) == ["one", "two"]
        outbox.mark_superseded(memory, messages, AT)
    assert piled.keys() == {("team", "ada@x.io")}
    assert states(store) == {"a": "superseded", "b": "superseded", "c": "pending"}
    assert heard(store).lost == 1


def test_the_mails_of_the_last_hour_are_counted_for_each_recipient(store: Store) -> None:
    put(store, "a")
    put(store, "b", Reason.DIGEST, incident="two")
    put(store, "c", to="bo@x.io")
    Outbox(store).dead(claim(store), DOWN, AT)
    with store.read() as memory:
        counts = notification_log.severities_since(memory, AT - timedelta(hours=1), AT)
        assert counts == {("team", "bo@x.io"): [int(Severity.ERROR)]}
        assert notification_log.severities_since(memory, AT, AT) == {}


def test_what_waited_three_days_is_given_up_and_counted(store: Store) -> None:
    put(store, "a")
    put(store, "b", Reason.RESOLVED)
    put(store, "never tried", to="bo@x.io")
    Outbox(store).retry(claim(store), DOWN, AT)
    assert Outbox(store).claim(AT + timedelta(hours=72)) is None
    assert states(store) == {"a": "dead", "b": "dead", "never tried": "dead"}
    with store.read() as memory:
        left = outbox_summary.summary(memory)
    assert (left.waiting, left.dead) == (0, 3)
    assert set(left.errors) == {"the server is down", "expired"}


def test_a_message_is_not_given_up_a_second_too_early(store: Store) -> None:
    put(store, "a")
    assert claim(store, timedelta(hours=72, seconds=-1)).message.subject == "a"


def test_what_was_refused_for_good_says_at_which_step_and_why(store: Store) -> None:
    put(store, "a")
    refused = DeliveryError(
        "the server does not know the recipient", retryable=False, stage="recipient", code=550
    )
    Outbox(store).dead(claim(store), refused, AT)
    [row] = rows(store)
    assert [row[name] for name in ("state", "stage", "code", "error", "ended_at")] == [
        *("dead", "recipient", 550, "the server does not know the recipient", AT)
    ]
    assert Outbox(store).claim(AT + timedelta(days=9)) is None


def test_the_summary_says_what_waits_since_when_and_why(store: Store) -> None:
    put(store, "a")
    put(store, "b", to="bo@x.io")
    put(store, "c", Reason.RESOLVED, to="cy@x.io", incident="two")
    Outbox(store).retry(claim(store), DOWN, AT)
    claim(store)
    with store.read() as memory:
        left = outbox_summary.summary(memory)
    assert (left.waiting, left.oldest, left.errors) == (2, AT, ("the server is down",))
    assert (left.dead, left.uncertain) == (0, 0)


def test_an_empty_outbox_has_nothing_to_tell(store: Store) -> None:
    with store.read() as memory:
        assert outbox_summary.summary(memory) == Summary(0, 0, 0, None, ())


def test_many_threads_at_once_take_each_message_once(
    url: str, store: Store, tmp_path: Path
) -> None:
    for number in range(40):
        put(store, f"m{number}", incident=f"i{number}")
    taken: list[str] = []
    together = threading.Barrier(4)

    def work() -> None:
        mine = Store.open(url, tmp_path)
        together.wait(30)
        while claimed := Outbox(mine).claim(AT):
            taken.append(claimed.message.subject)
            Outbox(mine).sent(claimed, AT)
        mine.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert sorted(taken) == sorted(f"m{number}" for number in range(40))


#: Takes all that is due, and prints it.
WORKER = """
import pathlib, sys
from datetime import datetime
from sanityd.store.open import Store
from sanityd.store.outbox import Outbox
outbox, at = Outbox(Store.open(sys.argv[1], pathlib.Path.cwd())), datetime.fromisoformat(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
while claimed := outbox.claim(at):
    print(claimed.message.subject)
outbox.store.close()
"""


@pytest.mark.long
def test_many_processes_at_once_take_each_message_once(
    url: str, store: Store, race: Callable[..., list[str]]
) -> None:
    for number in range(40):
        put(store, f"m{number}", incident=f"i{number}")
    taken = " ".join(race(WORKER, 3, url, AT.isoformat())).split()
    assert sorted(taken) == sorted(f"m{number}" for number in range(40))
