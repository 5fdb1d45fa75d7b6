"""What would follow from one run of a rule if it were recorded now.

That is found out in a temporary store: the same recording, the same decisions, the same outbox;
only its mail is not sent. For a whole history see `replay.py`.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from sanityd.model import Cause, Incident, Message, NoiseState, Run, Silence, Triage
from sanityd.notifications import open_incidents, policy
from sanityd.notifications.notify import NotificationResult, notify
from sanityd.notifications.open_incidents import OpenIncident
from sanityd.pipeline.recording import Result, record
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import noise_state, silences
from sanityd.store.open import Store
from sanityd.store.outbox import pending_at


@dataclass(frozen=True, slots=True)
class Forecast:
    """What would follow from a run if it were recorded now."""

    result: Result
    #: Why each recipient would be notified or not, of incidents of this rule only.
    decisions: tuple[NotificationResult, ...]
    messages: tuple[Message, ...]
    #: What the noise policy would have decided about the rule.
    noise_state: NoiseState
    #: The open incident, as it would count.
    incident: Incident | None = None
    #: The decision of a person that is in force.
    triage: Triage | None = None
    #: The number of its rows that people accepted.
    accepted: int = 0
    #: The silences that match the rule now.
    silences: tuple[Silence, ...] = ()


def forecast(
    rules: RuleSet, rule: Rule, run: Run, recall: Callable[[Connection], object]
) -> Forecast:
    """Return what would follow from a run of one rule.

    Parameters: `recall` copies what is known of the rule into the temporary store.
    """
    only_rule = replace(rules, rules={rule.id: rule})
    with temporary_store() as store, store.write() as connection:
        recall(connection)
        [result] = record(connection, only_rule, [(rule, run)])
        notified = notify(connection, only_rule, run.at)
        violated = _open_violation(connection, only_rule, rule, run.at)
        facts = rule.facts(rules.revision)
        silencing = [
            silence
            for silence in silences.list_active(connection, run.at)
            if policy.is_silenced(facts, [silence], run.at)
        ]
        return Forecast(
            result=result,
            decisions=tuple(item for item in notified if item.incident.rule == rule.id),
            messages=tuple(claimed.message for claimed in pending_at(connection, run.at)),
            noise_state=noise_state.of_rule(connection, rule.id),
            incident=violated.incident if violated else None,
            triage=violated.triage if violated else None,
            accepted=violated.accepted if violated else 0,
            silences=tuple(silencing),
        )


@contextmanager
def temporary_store() -> Iterator[Store]:
    """Yield an empty store that is deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="sanityd-simulation-") as folder:
        store = Store.open("sqlite:///simulation.db", Path(folder))
        try:
            yield store
        finally:
            store.close()


def _open_violation(
    connection: Connection, rules: RuleSet, rule: Rule, at: datetime
) -> OpenIncident | None:
    """Return the open violated incident of a rule as it counts; None without one."""
    for item in open_incidents.list_open_incidents(connection, rules, at):
        if item.incident.rule == rule.id and item.incident.cause is Cause.VIOLATED:
            return item
    return None
