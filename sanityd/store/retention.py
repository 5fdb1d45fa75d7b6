"""What the store forgets, so that it stays small: old runs become a row per day, what is over and told goes.

Incidents and the audit are kept. Nothing that is open, waits or was not told is old. Each step is a small transaction,
so that nobody waits for long; each can be cut off and is done again.
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

from sanityd.store import audit
from sanityd.store.open import Store
from sanityd.store.tables import audit as audit_table
from sanityd.store.tables import (
    days,
    decisions,
    incidents,
    insert_into,
    news,
    outbox,
    runs,
    violations,
)

KEPT = timedelta(days=90)
#: However old they are, that many runs of each rule are kept: of a rule that runs once a year, and for the bar picture.
NEWEST = 100
#: How much history may go at once. A clock that is a year ahead for a day costs no more than that.
AT_ONCE = timedelta(days=7)
EVERY = timedelta(hours=20)
#: Rows of one transaction.
CHUNK = 2_000
_DAY = timedelta(days=1)
_ACTION = "tidied"
_OVER = ("sent", "cancelled", "superseded", "dead", "uncertain")
_ANSWERED = ("complete", "truncated")


@dataclass(frozen=True, slots=True)
class Tidied:
    """How much was forgotten, of what is older than `until`."""

    until: datetime
    runs: int = 0
    violations: int = 0
    messages: int = 0


def tidy(store: Store, at: datetime) -> Tidied | None:
    """Forget what is old, if that was not done today: None then, or when there is nothing. Raises StoreError."""
    with store.read() as memory:
        until = _until(memory, at)
    if until is None:
        return None
    with store.write() as memory:
        # Another may have begun at the same moment.
        if _until(memory, at) != until:
            return None
        audit.append(
            memory,
            at,
            "sanityd",
            _ACTION,
            "older than 90 days",
            detail={"until": until.isoformat()},
        )
    done = Tidied(
        until,
        runs=sum(_roll_up(store, rule, until) for rule in _rules(store)),
        violations=sum(_repeat(store, _forget_violations, until)),
        messages=sum(_repeat(store, _forget_messages, until)),
    )
    with store.write() as memory:
        _forget_decisions(memory, until)
    return done


def days_of(connection: Connection, rule: str, since: datetime) -> Sequence[RowMapping]:
    """What is left of a rule's old runs, oldest day first."""
    found = select(days).where(days.c.rule == rule, days.c.day >= since).order_by(days.c.day)
    return connection.execute(found).mappings().all()


def _until(memory: Connection, at: datetime) -> datetime | None:
    """Up to when all is forgotten this time, a midnight; None for nothing to do."""
    last = memory.execute(
        select(audit_table)
        .where(audit_table.c.action == _ACTION)
        .order_by(audit_table.c.id.desc())
        .limit(1)
    )
    known = last.mappings().first()
    wanted = datetime.combine((at - KEPT).astimezone(UTC), time(), UTC)
    if known is not None:
        if abs(at - known["at"]) < EVERY:
            return None
        before = datetime.fromisoformat(known["detail"]["until"])
    else:
        oldest = memory.execute(select(func.min(runs.c.at, type_=runs.c.at.type))).scalar()
        if oldest is None:
            return None
        before = datetime.combine(oldest, time(), UTC)
    until = min(wanted, before + AT_ONCE)
    return until if until > before else None


def _rules(store: Store) -> Iterator[str]:
    """All that have runs; each is found by a step in the index, where DISTINCT would read all of it."""
    rule = ""
    while True:
        with store.read() as memory:
            found = memory.execute(select(func.min(runs.c.rule)).where(runs.c.rule > rule)).scalar()
        if found is None:
            return
        rule = found
        yield rule


def _roll_up(store: Store, rule: str, until: datetime) -> int:
    """A rule's runs, day by day: what is counted and what is deleted is the same in one transaction."""
    gone = 0
    while True:
        with store.write() as memory:
            ours = runs.c.rule == rule
            kept = memory.execute(
                select(runs.c.at).where(ours).order_by(runs.c.at.desc()).offset(NEWEST - 1).limit(1)
            ).scalar()
            if kept is None:
                return gone
            limit = min(until, datetime.combine(kept, time(), UTC))
            oldest = memory.execute(
                select(func.min(runs.c.at, type_=runs.c.at.type)).where(ours)
            ).scalar()
            if oldest is None or oldest >= limit:
                return gone
            day = datetime.combine(oldest, time(), UTC)
            that_day = and_(ours, runs.c.at >= day, runs.c.at < day + _DAY)
            _add(memory, rule, day, memory.execute(_counted(that_day)).mappings().one())
            gone += memory.execute(delete(runs).where(that_day)).rowcount


def _counted(which: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
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


def _add(memory: Connection, rule: str, day: datetime, counted: RowMapping) -> None:
    """To what is left of the day already, if the clock was set back over it."""
    new = insert_into(memory, days).values(rule=rule, day=day, **counted)
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
    memory.execute(
        new.on_conflict_do_update(index_elements=[days.c.rule, days.c.day], set_={**sums, **larger})
    )


def _repeat(
    store: Store, step: Callable[[Connection, datetime], int], until: datetime
) -> Iterator[int]:
    while True:
        with store.write() as memory:
            gone = step(memory, until)
        yield gone
        if gone < CHUNK:
            return


def _forget_violations(memory: Connection, until: datetime) -> int:
    old = (
        select(violations.c.rule, violations.c.fingerprint)
        .where(violations.c.open.is_(False), violations.c.resolved_at < until)
        .limit(CHUNK)
    )
    found = memory.execute(old).all()
    for rule in {row.rule for row in found}:
        marks = [row.fingerprint for row in found if row.rule == rule]
        memory.execute(
            delete(violations).where(violations.c.rule == rule, violations.c.fingerprint.in_(marks))
        )
    return len(found)


def _forget_messages(memory: Connection, until: datetime) -> int:
    """Not those from which it is known what somebody was told of an incident that goes on."""
    goes_on = exists().where(
        news.c.message == outbox.c.seq,
        incidents.c.id == news.c.incident,
        incidents.c.settled.is_(False),
    )
    old = and_(outbox.c.state.in_(_OVER), outbox.c.ended_at < until, ~goes_on)
    found = memory.execute(select(outbox.c.seq).where(old).limit(CHUNK)).scalars().all()
    memory.execute(delete(news).where(news.c.message.in_(found)))
    memory.execute(delete(outbox).where(outbox.c.seq.in_(found)))
    return len(found)


def _forget_decisions(memory: Connection, until: datetime) -> None:
    over = select(incidents.c.id).where(incidents.c.settled, incidents.c.resolved_at < until)
    memory.execute(delete(decisions).where(decisions.c.incident.in_(over)))
