"""Retention: delete old history, so that the store stays small.

Runs older than 90 days become one row per rule and day. Violations, messages and decisions of that
age are deleted when they have ended. Incidents are kept, and so is the audit unless the rules file
says for how long. Every step is a small transaction, so that nobody waits for long; a step that was
interrupted is done again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    case,
    delete,
    exists,
    func,
    select,
)

from sanityd.store import (
    announced_changes,
    audit,
    audit_retention,
    episodes,
    evidence,
    remedies,
    rule_texts,
)
from sanityd.store.open import Store
from sanityd.store.remedy_tables import remedy_status
from sanityd.store.tables import audit as audit_table
from sanityd.store.tables import (
    days,
    decisions,
    incidents,
    insert_into,
    news,
    outbox,
    rules_seen,
    runs,
    violations,
)

KEPT = timedelta(days=90)
#: So many runs of each rule are kept, however old they are: for rules that run once a year, and for
#: the chart of the last runs.
NEWEST = 100
#: How much history is deleted at once, at most: a clock that is a year ahead costs no more.
AT_ONCE = timedelta(days=7)
EVERY = timedelta(hours=20)
#: How many rows one transaction deletes.
CHUNK = 2_000
_DAY = timedelta(days=1)
_ACTION = "tidied"
_OVER = ("sent", "cancelled", "superseded", "dead", "uncertain")
_ANSWERED = ("complete", "truncated")


@dataclass(frozen=True, slots=True)
class RetentionResult:
    """How many rows older than `until` were deleted."""

    until: datetime
    runs: int = 0
    violations: int = 0
    messages: int = 0
    audit_entries: int = 0


def apply_retention(
    store: Store, at: datetime, keep_audit: timedelta | None = None
) -> RetentionResult | None:
    """Delete old history.

    Parameters: `keep_audit` is how long entries of the audit are kept; None for ever.
    Returns None when that was done in the last 20 hours, or nothing is old. Raises StoreError.
    """
    with store.read() as connection:
        until = _until(connection, at)
    if until is None:
        return None
    with store.write() as connection:
        # Another process may have started at the same time.
        if _until(connection, at) != until:
            return None
        audit.append(
            connection,
            at,
            "sanityd",
            _ACTION,
            "older than 90 days",
            detail={"until": until.isoformat()},
        )
    done = RetentionResult(
        until,
        runs=sum(_roll_up(store, rule, until) for rule in _rules(store)),
        violations=sum(_in_chunks(store, _delete_violations, until)),
        messages=sum(_in_chunks(store, _delete_messages, until)),
        audit_entries=audit_retention.trim(store, at, keep_audit) if keep_audit else 0,
    )
    for _ in _in_chunks(store, _delete_episodes, until):
        pass
    with store.write() as connection:
        _delete_decisions(connection, until)
        announced_changes.delete_over(connection, until)
        remedies.delete_ended(connection, until)
        _delete_remedy_status(connection, until)
        if done.audit_entries:
            rule_texts.delete_unnamed(connection)
    return done


def days_of(connection: Connection, rule: str, since: datetime) -> Sequence[RowMapping]:
    """Return the daily summaries of a rule's old runs, oldest first."""
    query = select(days).where(days.c.rule == rule, days.c.day >= since).order_by(days.c.day)
    return connection.execute(query).mappings().all()


def _until(connection: Connection, at: datetime) -> datetime | None:
    """Return the midnight up to which history is deleted now; None when nothing is to be done."""
    last = connection.execute(
        select(audit_table)
        .where(audit_table.c.action == _ACTION)
        .order_by(audit_table.c.id.desc())
        .limit(1)
    )
    last_entry = last.mappings().first()
    newest_kept = datetime.combine((at - KEPT).astimezone(UTC), time(), UTC)
    if last_entry is not None:
        if abs(at - last_entry["at"]) < EVERY:
            return None
        before = datetime.fromisoformat(last_entry["detail"]["until"])
    else:
        oldest = connection.execute(select(func.min(runs.c.at, type_=runs.c.at.type))).scalar()
        if oldest is None:
            return None
        before = datetime.combine(oldest, time(), UTC)
    until = min(newest_kept, before + AT_ONCE)
    return until if until > before else None


def _rules(store: Store) -> Iterator[str]:
    """Yield all rules that have runs.

    Each is found by one step in the index; DISTINCT would read the whole index.
    """
    rule = ""
    while True:
        with store.read() as connection:
            next_rule = connection.execute(
                select(func.min(runs.c.rule)).where(runs.c.rule > rule)
            ).scalar()
        if next_rule is None:
            return
        rule = next_rule
        yield rule


def _roll_up(store: Store, rule: str, until: datetime) -> int:
    """Replace a rule's old runs by daily summaries; return how many runs were deleted.

    A day is summed up and deleted in one transaction, so that both see the same runs.
    """
    deleted = 0
    while True:
        with store.write() as connection:
            of_rule = runs.c.rule == rule
            oldest_kept = connection.execute(
                select(runs.c.at)
                .where(of_rule)
                .order_by(runs.c.at.desc())
                .offset(NEWEST - 1)
                .limit(1)
            ).scalar()
            if oldest_kept is None:
                return deleted
            limit = min(until, datetime.combine(oldest_kept, time(), UTC))
            oldest = connection.execute(
                select(func.min(runs.c.at, type_=runs.c.at.type)).where(of_rule)
            ).scalar()
            if oldest is None or oldest >= limit:
                return deleted
            day = datetime.combine(oldest, time(), UTC)
            that_day = and_(of_rule, runs.c.at >= day, runs.c.at < day + _DAY)
            summary = connection.execute(_summary(that_day)).mappings().one()
            _add(connection, rule, day, summary)
            deleted += connection.execute(delete(runs).where(that_day)).rowcount


def _summary(which: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    answered = runs.c.outcome.in_(_ANSWERED)
    failed = and_(answered, runs.c.severity.is_not(None))
    return select(
        func.count().label("runs"),
        func.sum(case((answered, 1), else_=0)).label("answered"),
        func.sum(case((failed, 1), else_=0)).label("failed"),
        func.max(runs.c.violations).label("most"),
        func.max(runs.c.severity).label("severity"),
        func.sum(runs.c.seconds).label("seconds"),
    ).where(which)


def _add(connection: Connection, rule: str, day: datetime, summary: RowMapping) -> None:
    """Add to the summary of that day; it exists when the clock was set back over the day."""
    new = insert_into(connection, days).values(rule=rule, day=day, **summary)
    sums = {
        name: days.c[name] + new.excluded[name]
        for name in ("runs", "answered", "failed", "seconds")
    }
    larger = {
        name: case(
            (days.c[name] > func.coalesce(new.excluded[name], -1), days.c[name]),
            else_=new.excluded[name],
        )
        for name in ("most", "severity")
    }
    connection.execute(
        new.on_conflict_do_update(index_elements=[days.c.rule, days.c.day], set_={**sums, **larger})
    )


def _in_chunks(
    store: Store, step: Callable[[Connection, datetime], int], until: datetime
) -> Iterator[int]:
    """Repeat a step, each time in a transaction, until it finds less than a chunk."""
    while True:
        with store.write() as connection:
            deleted = step(connection, until)
        yield deleted
        if deleted < CHUNK:
            return


def _delete_violations(connection: Connection, until: datetime) -> int:
    old = (
        select(violations.c.rule, violations.c.fingerprint)
        .where(violations.c.open.is_(False), violations.c.resolved_at < until)
        .limit(CHUNK)
    )
    rows = connection.execute(old).all()
    fingerprints: dict[str, list[str]] = {}
    for row in rows:
        fingerprints.setdefault(row.rule, []).append(row.fingerprint)
    for rule, old_fingerprints in fingerprints.items():
        connection.execute(
            delete(violations).where(
                violations.c.rule == rule, violations.c.fingerprint.in_(old_fingerprints)
            )
        )
        evidence.remove(connection, rule, old_fingerprints)
    return len(rows)


def _delete_episodes(connection: Connection, until: datetime) -> int:
    return episodes.delete_ended(connection, until, CHUNK)


def _delete_messages(connection: Connection, until: datetime) -> int:
    """Delete messages, except those about unsettled incidents: they show who was notified."""
    goes_on = exists().where(
        news.c.message == outbox.c.seq,
        incidents.c.id == news.c.incident,
        incidents.c.settled.is_(False),
    )
    old = and_(outbox.c.state.in_(_OVER), outbox.c.ended_at < until, ~goes_on)
    numbers = connection.execute(select(outbox.c.seq).where(old).limit(CHUNK)).scalars().all()
    connection.execute(delete(news).where(news.c.message.in_(numbers)))
    connection.execute(delete(outbox).where(outbox.c.seq.in_(numbers)))
    return len(numbers)


def _delete_decisions(connection: Connection, until: datetime) -> None:
    over = select(incidents.c.id).where(incidents.c.settled, incidents.c.resolved_at < until)
    connection.execute(delete(decisions).where(decisions.c.incident.in_(over)))


def _delete_remedy_status(connection: Connection, until: datetime) -> None:
    """Delete what is known of the remedies of rules that were removed before then."""
    removed = select(rules_seen.c.rule).where(rules_seen.c.removed_at < until)
    present = select(rules_seen.c.rule).where(
        rules_seen.c.removed_at.is_(None) | (rules_seen.c.removed_at >= until)
    )
    is_gone = and_(remedy_status.c.rule.in_(removed), remedy_status.c.rule.not_in(present))
    connection.execute(delete(remedy_status).where(is_gone))
