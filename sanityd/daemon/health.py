"""Who watches the watchman: what makes sanityd itself not to be trusted just now. Tells nobody; the clock is given.

A heartbeat is sent, `/healthz` is fine and `sanityd status` is calm only while there is no complaint.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from sanityd.model import Cause
from sanityd.model.durations import format_duration
from sanityd.model.schedule import Schedule
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import incidents, leases, outbox, runs
from sanityd.store.leases import Lease

#: How long ago the scheduler may have compared what is due with what was done.
RECONCILED = timedelta(minutes=2)
#: After how many missed intervals a rule is overdue.
INTERVALS = 3
#: What is due more often than that counts as due once in so long.
SHORTEST = timedelta(minutes=1)
#: How long a message may wait.
WAITED = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class HealthSigns:
    """What is known of sanityd itself.

    `daemon` is None where there never was one; `overdue` names the rules that were not looked at for three intervals;
    `waiting` since when the oldest message waits; `wrong_file` says what is wrong with the rules file.
    """

    daemon: Lease | None = None
    overdue: tuple[str, ...] = ()
    waiting: datetime | None = None
    given_up: int = 0
    down: tuple[str, ...] = field(default=())
    wrong_file: str = ""

    def silence(self, at: datetime) -> str:
        """Why the scheduler itself is not trusted; nothing if it is."""
        if self.daemon is None:
            return ""
        # A clock that was set back makes it look as if it had been alive in the future.
        ago = abs(at - self.daemon.at)
        return (
            f"the scheduler was last alive {format_duration(ago)} ago" if ago > RECONCILED else ""
        )

    def complaints(self, at: datetime) -> tuple[str, ...]:
        """Everything because of which no heartbeat may be sent."""
        found = [self.silence(at)]
        if self.overdue:
            more = f" and {len(self.overdue) - 1:,} more" if len(self.overdue) > 1 else ""
            found.append(
                f"rule `{self.overdue[0]}`{more} was not looked at for {INTERVALS} intervals"
            )
        if self.waiting is not None and at - self.waiting > WAITED:
            found.append(f"a message has waited for {format_duration(at - self.waiting)}")
        return tuple(one for one in found if one)


def health_signs(memory: Connection, rules: RuleSet, at: datetime) -> HealthSigns:
    """What the store knows of sanityd itself."""
    last = runs.newest_at(memory, [rule.id for rule in rules.enabled()], at)
    daemon = leases.held(memory, rules.name)
    since = daemon.since if daemon is not None else at
    box = outbox.summary(memory)
    blind = [
        one
        for one in incidents.list_open(memory)
        if one.cause in (Cause.SOURCE_DOWN, Cause.RULES_WRONG)
    ]
    return HealthSigns(
        daemon=daemon,
        overdue=tuple(
            rule.id for rule in rules.enabled() if _is_overdue(rule, last.get(rule.id), since, at)
        ),
        waiting=box.oldest,
        given_up=box.dead,
        down=tuple(one.source for one in blind if one.cause is Cause.SOURCE_DOWN),
        wrong_file=next((one.error for one in blind if one.cause is Cause.RULES_WRONG), ""),
    )


def _is_overdue(rule: Rule, last: datetime | None, since: datetime, at: datetime) -> bool:
    """Of a rule that was never looked at, the intervals count from when somebody began to."""
    limit = at
    for _ in range(INTERVALS):
        before = _slot_before(rule.schedule, limit)
        if before is None:
            return False
        limit = before
    return (last or since) < limit


def _slot_before(schedule: Schedule, at: datetime) -> datetime | None:
    if schedule.every is not None:
        return at - max(schedule.every, SHORTEST)
    found = schedule.slot_before(at - timedelta(seconds=1))
    return None if found is None else found
