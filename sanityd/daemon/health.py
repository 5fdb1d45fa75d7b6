"""The health of sanityd itself: what makes its answers unreliable just now. Reads the store only.

A heartbeat is sent, `/healthz` is ok and `sanityd status` has no warning only while there is no
complaint.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection

from sanityd.model import Cause
from sanityd.model.durations import format_duration
from sanityd.model.schedule import INTERVALS
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import incidents, leases, outbox_summary, rechecks, runs
from sanityd.store.leases import Lease

#: How long ago the scheduler may have renewed its lease.
RECONCILED = timedelta(minutes=2)
#: How far the last run may lie in the future, as clocks of several machines differ.
AHEAD = timedelta(minutes=2)
#: How long a message may wait.
WAITED = timedelta(minutes=15)


class ServeState(StrEnum):
    """What a lease says of `sanityd serve`. A silent one crashed, or hangs."""

    RUNNING = "running"
    STOPPED = "stopped"
    SILENT = "silent"


def serve_state(daemon: Lease | None, at: datetime) -> ServeState | None:
    """Return whether the daemon of a lease runs; None where there never was one."""
    if daemon is None:
        return None
    if daemon.stopped:
        return ServeState.STOPPED
    return ServeState.SILENT if _silence(daemon, at) > RECONCILED else ServeState.RUNNING


def liveness_problem(daemon: Lease | None, at: datetime) -> str:
    """Return a complaint when the scheduler is silent, without having been stopped; else
    nothing."""
    if daemon is None or serve_state(daemon, at) is not ServeState.SILENT:
        return ""
    ago = format_duration(_silence(daemon, at))
    return f"the scheduler was last alive {ago} ago, and was not stopped: it crashed, or it hangs"


def _silence(daemon: Lease, at: datetime) -> timedelta:
    # After a clock was set back, the lease seems to have been renewed in the future.
    return abs(at - daemon.at)


@dataclass(frozen=True, slots=True)
class HealthSigns:
    """What the store knows of sanityd itself."""

    #: The lease of the leading daemon; None where there never was one.
    daemon: Lease | None = None
    #: The rules that were not checked for three intervals.
    overdue: tuple[str, ...] = ()
    #: How far the last run lies in the future, after the clock was set back.
    ahead: timedelta = timedelta(0)
    #: Since when the oldest message waits.
    waiting: datetime | None = None
    #: The number of messages that were given up.
    given_up: int = 0
    #: The sources that do not answer.
    down: tuple[str, ...] = ()
    #: The error of the rules file; empty without one.
    wrong_file: str = ""

    def never_resumed(self, at: datetime) -> bool:
        """Return whether the daemon was stopped long ago, though a process of it answers."""
        return self.daemon is not None and _silence(self.daemon, at) > RECONCILED

    def complaints(self, at: datetime) -> tuple[str, ...]:
        """Return the reasons why no heartbeat may be sent; none while all is well."""
        complaints = []
        problem = liveness_problem(self.daemon, at)
        if problem:
            complaints.append(problem)
        if self.overdue:
            more = f" and {len(self.overdue) - 1:,} more" if len(self.overdue) > 1 else ""
            complaints.append(
                f"rule `{self.overdue[0]}`{more} was not checked for {INTERVALS} intervals"
            )
        if self.ahead > AHEAD:
            complaints.append(
                f"the clock was set back: for {format_duration(self.ahead)} runs only go into the"
                " history, as later ones are recorded already"
            )
        if self.waiting is not None and at - self.waiting > WAITED:
            complaints.append(f"a message has waited for {format_duration(at - self.waiting)}")
        return tuple(complaints)


def health_signs(connection: Connection, rules: RuleSet, at: datetime) -> HealthSigns:
    """Read what the store knows of sanityd itself."""
    enabled = rules.enabled()
    last_runs = runs.last_run_times(connection, [rule.id for rule in enabled], at)
    daemon = leases.get(connection, rules.name)
    down = []
    wrong_file = ""
    for incident in incidents.list_open(connection):
        if incident.cause is Cause.SOURCE_DOWN:
            down.append(incident.source)
        elif incident.cause is Cause.RULES_WRONG and not wrong_file:
            wrong_file = incident.error
    summary = outbox_summary.summary(connection)
    return HealthSigns(
        daemon=daemon,
        overdue=tuple(_overdue(connection, enabled, last_runs, daemon, at)),
        ahead=max(last_runs.values(), default=at) - at,
        waiting=summary.oldest,
        given_up=summary.dead,
        down=tuple(down),
        wrong_file=wrong_file,
    )


def _overdue(
    connection: Connection,
    enabled: Sequence[Rule],
    last_runs: Mapping[str, datetime],
    daemon: Lease | None,
    at: datetime,
) -> Iterator[str]:
    """Yield the rules that were not checked for three intervals.

    Without a run, they count from the start of the daemon on. A rule whose recheck waits was
    evaluated; only its run is not complete.
    """
    since = daemon.since if daemon is not None else at
    pending = rechecks.of_rules(connection, {rule.id: rule.meaning for rule in enabled}, at)
    for rule in enabled:
        if rule.id in pending:
            continue
        if rule.schedule.is_missed(last_runs.get(rule.id, since), at):
            yield rule.id
