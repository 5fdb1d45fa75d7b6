"""Remedies: requests that repair rows, recorded before they are sent; each keeps its id.

    planned → sent → done | failed | refused          planned → cancelled

A process claims a request with a conditional UPDATE, which is committed before it connects to a
server. The fence is a counter of claims, as in the outbox: a process that lost its lease can't
write the answer any more. A request whose process died is claimed again, under the same id.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    delete,
    func,
    or_,
    select,
    update,
)

from sanityd.model import TriageAction, decode_values, encode_values
from sanityd.model.remedies import RemedyRow, RemedyState, RemedyStatus, StoredRemedy
from sanityd.store.name_list import name_list
from sanityd.store.remedy_tables import remedies, remedy_status
from sanityd.store.runs import OVERLAP
from sanityd.store.tables import insert_into, triage, violations

#: How much longer than its attempt the lease of a request lasts.
LEASE_MARGIN = timedelta(seconds=30)
#: A receiver can't put a request off for longer.
LONGEST_PAUSE = timedelta(days=1)
_WAITING = (RemedyState.PLANNED.value, RemedyState.SENT.value)
_SPARED = (TriageAction.SNOOZED.value, TriageAction.ACCEPTED.value, TriageAction.CLOSED.value)


def eligible_rows(
    connection: Connection, rule: str, at: datetime, fingerprints: Collection[str] | None = None
) -> list[RemedyRow]:
    """Return the open rows of a rule that may be repaired, oldest first.

    Rows that people accepted are left out, and all rows while the incident is snoozed, accepted or
    closed. Parameters: `fingerprints` limits them to these.
    """
    decisions = connection.execute(
        select(triage.c.fingerprint, triage.c.action).where(
            triage.c.rule == rule, triage.c.ended_at.is_(None), triage.c.until > at
        )
    ).all()
    if any(row.fingerprint is None and row.action in _SPARED for row in decisions):
        return []
    spared = {row.fingerprint for row in decisions}
    query = select(violations).where(violations.c.rule == rule, violations.c.open)
    if fingerprints is not None:
        marks = name_list(connection, fingerprints)
        query = query.where(violations.c.fingerprint.in_(select(marks.c.value)))
    rows = connection.execute(query.order_by(violations.c.first_seen)).mappings()
    return [_row_of_violation(row) for row in rows if row["fingerprint"] not in spared]


def of_rule(
    connection: Connection, rule: str, states: Iterable[RemedyState] | None = None
) -> list[StoredRemedy]:
    """Return the requests of a rule, oldest first.

    Parameters: `states` limits them to those in one of these states.
    """
    query = select(remedies).where(remedies.c.rule == rule)
    if states is not None:
        query = query.where(remedies.c.state.in_([state.value for state in states]))
    rows = connection.execute(query.order_by(remedies.c.at, remedies.c.id)).mappings()
    return [_stored(row) for row in rows]


def times_done(
    connection: Connection, rules: Collection[str], since: datetime
) -> dict[str, list[datetime]]:
    """Return when requests of these rules were done since then, by rule, oldest first."""
    if not rules:
        return {}
    done = and_(remedies.c.state == RemedyState.DONE.value, remedies.c.ended_at >= since)
    query = select(remedies.c.rule, remedies.c.ended_at).where(
        done, remedies.c.rule.in_(select(name_list(connection, rules).c.value))
    )
    times: dict[str, list[datetime]] = {}
    for row in connection.execute(query.order_by(remedies.c.ended_at)):
        times.setdefault(row.rule, []).append(row.ended_at)
    return times


def counts(connection: Connection) -> dict[str, dict[RemedyState, int]]:
    """Return how many requests of each rule are in each state."""
    query = select(remedies.c.rule, remedies.c.state, func.count().label("requests"))
    by_rule: dict[str, dict[RemedyState, int]] = {}
    for row in connection.execute(query.group_by(remedies.c.rule, remedies.c.state)):
        by_rule.setdefault(row.rule, {})[RemedyState(row.state)] = row.requests
    return by_rule


def last_error(connection: Connection, rule: str) -> str:
    """Return the last error of the requests of a rule that are not done; empty without one."""
    query = (
        select(remedies.c.error)
        .where(remedies.c.rule == rule, remedies.c.error != "")
        .where(remedies.c.state.not_in((RemedyState.DONE.value, RemedyState.CANCELLED.value)))
        .order_by(remedies.c.next_at.desc())
        .limit(1)
    )
    return connection.execute(query).scalar() or ""


def plan(connection: Connection, remedy: StoredRemedy) -> None:
    """Record a request before it is sent. One of that id that is there already stays."""
    values = {
        "id": remedy.id,
        "rule": remedy.rule,
        "content": [_encoded(row) for row in remedy.rows],
        "state": RemedyState.PLANNED.value,
        "attempts": 0,
        "next_at": remedy.next_at,
        "fence": 0,
        "error": "",
        "author": remedy.author,
        "reason": remedy.reason,
        "at": remedy.at,
    }
    new = insert_into(connection, remedies).values(**values)
    connection.execute(new.on_conflict_do_nothing(index_elements=[remedies.c.id]))
    _revive_cancelled(connection, remedy)


def _revive_cancelled(connection: Connection, remedy: StoredRemedy) -> None:
    """Plan a request again that was cancelled, as when its row was accepted for a while."""
    cancelled = and_(remedies.c.id == remedy.id, remedies.c.state == RemedyState.CANCELLED.value)
    _plan_again(connection, cancelled, remedy.author, remedy.reason, remedy.at)


def plan_again(
    connection: Connection, ids: Sequence[str], author: str, reason: str, at: datetime
) -> None:
    """Let failed and refused requests be sent again, under the ids that they have."""
    problems = [state.value for state in RemedyState if state.is_problem]
    chosen_ids = select(name_list(connection, ids).c.value)
    chosen = and_(remedies.c.id.in_(chosen_ids), remedies.c.state.in_(problems))
    _plan_again(connection, chosen, author, reason, at)


def _plan_again(
    connection: Connection, which: ColumnElement[bool], author: str, reason: str, at: datetime
) -> None:
    values: dict[str, Any] = {"state": RemedyState.PLANNED.value, "attempts": 0, "next_at": at}
    values |= {"code": None, "error": ""}
    values |= {"author": author, "reason": reason, "ended_at": None}
    connection.execute(update(remedies).where(which).values(**values))


def claim(
    connection: Connection,
    rule: str,
    at: datetime,
    *,
    lease: timedelta,
    pause: timedelta,
    except_by: str | None = None,
) -> StoredRemedy | None:
    """Claim the next request of a rule that is due; None when none is, or the rate forbids it.

    Parameters: `lease` is how long the process has for it; `pause` the time between two requests
    of the rule; `except_by` leaves out the requests of this author.
    """
    query = select(remedies).where(remedies.c.rule == rule, _due(at, lease))
    if except_by is not None:
        query = query.where(remedies.c.author != except_by)
    next_request = query.order_by(remedies.c.at, remedies.c.id).limit(1)
    row = connection.execute(next_request.with_for_update(skip_locked=True)).mappings().first()
    if row is None or not _take_turn(connection, rule, at, pause):
        return None
    unchanged = and_(remedies.c.id == row["id"], remedies.c.fence == row["fence"])
    values = {
        "state": RemedyState.SENT.value,
        "fence": row["fence"] + 1,
        "attempts": row["attempts"] + 1,
        "leased_until": at + lease,
    }
    claimed = connection.execute(update(remedies).where(unchanged).values(**values))
    if claimed.rowcount != 1:
        return None
    return _stored({**row, **values})


def _due(at: datetime, lease: timedelta) -> ColumnElement[bool]:
    # One that is put off for longer than anything allows was put off by a wrong clock.
    put_off = remedies.c.next_at > at + LONGEST_PAUSE + OVERLAP
    planned = and_(
        remedies.c.state == RemedyState.PLANNED.value, or_(remedies.c.next_at <= at, put_off)
    )
    # The process of an expired lease has died. Whether the receiver got the request can't be
    # known, so it is sent again under the same id.
    expired = or_(remedies.c.leased_until < at, remedies.c.leased_until > at + lease + OVERLAP)
    return or_(planned, and_(remedies.c.state == RemedyState.SENT.value, expired))


def _take_turn(connection: Connection, rule: str, at: datetime, pause: timedelta) -> bool:
    """Begin the pause before the next request of the rule; False while an earlier one lasts."""
    _ensure_status(connection, rule)
    next_at = remedy_status.c.next_at
    free = or_(next_at.is_(None), next_at <= at, next_at > at + LONGEST_PAUSE + OVERLAP)
    turn = update(remedy_status).where(remedy_status.c.rule == rule, free)
    return connection.execute(turn.values(next_at=at + pause)).rowcount == 1


def next_turn(
    connection: Connection, rule: str, at: datetime, *, except_by: str | None = None
) -> datetime | None:
    """Return when the next request of a rule can be sent; None when none waits.

    Requests that another process is sending are left out. Parameters: `except_by` leaves out the
    requests of this author, too.
    """
    planned = and_(remedies.c.rule == rule, remedies.c.state == RemedyState.PLANNED.value)
    if except_by is not None:
        planned = and_(planned, remedies.c.author != except_by)
    due_at = connection.execute(
        select(func.min(remedies.c.next_at, type_=remedies.c.next_at.type)).where(planned)
    ).scalar()
    if due_at is None:
        return None
    next_at = connection.execute(
        select(remedy_status.c.next_at).where(remedy_status.c.rule == rule)
    ).scalar()
    turn: datetime = max(due_at, next_at or at)
    return turn


def put_off(connection: Connection, rule: str, until: datetime) -> None:
    """Let all requests of a rule wait, as their receiver asked for, or as it does not answer."""
    earlier = or_(remedy_status.c.next_at.is_(None), remedy_status.c.next_at < until)
    connection.execute(
        update(remedy_status).where(remedy_status.c.rule == rule, earlier).values(next_at=until)
    )


def finish(
    connection: Connection,
    claimed: StoredRemedy,
    state: RemedyState,
    at: datetime,
    *,
    code: int | None = None,
    error: str = "",
    next_at: datetime | None = None,
) -> bool:
    """Record what became of an attempt; False when the lease was lost to another process."""
    own = and_(
        remedies.c.id == claimed.id,
        remedies.c.fence == claimed.fence,
        remedies.c.state == RemedyState.SENT.value,
    )
    values: dict[str, Any] = {
        "state": state.value,
        "code": code,
        "error": error,
        "leased_until": None,
        "ended_at": None if state.is_waiting else at,
    }
    if next_at is not None:
        values["next_at"] = next_at
    return connection.execute(update(remedies).where(own).values(**values)).rowcount == 1


def cancel_unsent(connection: Connection, claimed: StoredRemedy, at: datetime) -> None:
    """Cancel a request that is no longer needed, in the transaction that claimed it.

    The claim does not count, as nothing was sent: a batch with one may have arrived.
    """
    values = {
        "state": RemedyState.CANCELLED.value,
        "fence": claimed.fence - 1,
        "error": "",
        "code": None,
        "leased_until": None,
        "ended_at": at,
    }
    connection.execute(update(remedies).where(remedies.c.id == claimed.id).values(**values))


def status_of(connection: Connection, rule: str) -> RemedyStatus:
    """Return what is known of the remedy of a rule."""
    return statuses(connection, [rule]).get(rule, RemedyStatus(rule))


def statuses(
    connection: Connection, rules: Collection[str] | None = None
) -> dict[str, RemedyStatus]:
    """Return the same of these rules, or of all, by rule; those without a request are left out."""
    query = select(remedy_status)
    if rules is not None:
        query = query.where(remedy_status.c.rule.in_(select(name_list(connection, rules).c.value)))
    by_rule = {}
    for row in connection.execute(query).mappings():
        values = {name: value for name, value in row.items() if name != "next_at"}
        by_rule[row["rule"]] = RemedyStatus(**values)
    return by_rule


def save_status(connection: Connection, status: RemedyStatus) -> None:
    """Store what is known of the remedy of a rule."""
    _ensure_status(connection, status.rule)
    connection.execute(
        update(remedy_status).where(remedy_status.c.rule == status.rule).values(**asdict(status))
    )


def _ensure_status(connection: Connection, rule: str) -> None:
    new = insert_into(connection, remedy_status).values(
        rule=rule, stopped="", incident="", baseline=0, notified=""
    )
    connection.execute(new.on_conflict_do_nothing(index_elements=[remedy_status.c.rule]))


def rename(connection: Connection, old: str, new: str, fingerprints: Mapping[str, str]) -> None:
    """Carry the requests of a rule over to a new id of it. They keep their own ids.

    Parameters: `fingerprints` are the new ones of its rows by the old ones.
    """
    for remedy in of_rule(connection, old):
        content = []
        for row in remedy.rows:
            mark = fingerprints.get(row.fingerprint, row.fingerprint)
            content.append({**_encoded(row), "fingerprint": mark})
        values = {"rule": new, "content": content}
        connection.execute(update(remedies).where(remedies.c.id == remedy.id).values(**values))


def forget_values(connection: Connection, rule: str) -> None:
    """Delete the requests of a rule, as the keys in them may not stay as they are."""
    connection.execute(delete(remedies).where(remedies.c.rule == rule))


def delete_ended(connection: Connection, until: datetime) -> None:
    """Delete the requests that ended before then."""
    ended = and_(remedies.c.state.not_in(_WAITING), remedies.c.ended_at < until)
    connection.execute(delete(remedies).where(ended))


def _row_of_violation(row: RowMapping) -> RemedyRow:
    return RemedyRow(
        row["fingerprint"],
        row["episodes"],
        decode_values(row["key"]),
        decode_values(row["shown"]),
    )


def _encoded(row: RemedyRow) -> dict[str, Any]:
    return {
        "fingerprint": row.fingerprint,
        "episode": row.episode,
        "key": encode_values(row.key),
        "shown": encode_values(row.shown),
    }


def _stored(row: RowMapping | Mapping[str, Any]) -> StoredRemedy:
    rows = []
    for item in row["content"]:
        key, shown = decode_values(item["key"]), decode_values(item["shown"])
        rows.append(RemedyRow(item["fingerprint"], item["episode"], key, shown))
    return StoredRemedy(
        id=row["id"],
        rule=row["rule"],
        rows=tuple(rows),
        state=RemedyState(row["state"]),
        attempts=row["attempts"],
        next_at=row["next_at"],
        fence=row["fence"],
        author=row["author"],
        reason=row["reason"],
        at=row["at"],
        code=row["code"],
        error=row["error"],
        ended_at=row["ended_at"],
    )
