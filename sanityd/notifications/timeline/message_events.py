"""Messages: what was sent to whom, and whether it was delivered."""

from collections.abc import Iterator

from sanityd.notifications.timeline.event import Event, EventKind, EventQuery
from sanityd.store import notification_log

DELIVERY = {
    "sent": "delivered",
    "pending": "waits",
    "leased": "is being sent",
    "uncertain": "may have arrived",
    "dead": "given up",
    "cancelled": "cancelled, as nobody needs it any more",
    "superseded": "replaced by a newer message",
}
#: States in which the last error is shown.
UNDELIVERED = {"pending", "leased", "uncertain", "dead"}


def message_events(query: EventQuery) -> Iterator[Event]:
    """Yield the messages about a rule, at the time when each was delivered or ended otherwise."""
    for message in notification_log.of_rule(query.connection, query.rule, query.since):
        at = message["ended_at"] or message["created_at"]
        words = f"mail `{message['news_reason']}` {DELIVERY[message['state']]}"
        if message["state"] in UNDELIVERED and message["error"]:
            words += f": {message['error']}"
        recipient, incident = message["recipient"], message["incident"]
        yield Event(at, query.rule, words, recipient, "", EventKind.MAIL, incident)
