"""The rows that violate rules, from first seen to resolved. Only changes are written."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from sanityd.model import (
    REGRESSION_WINDOW,
    Change,
    Key,
    Resolution,
    TrackedViolation,
    Transition,
    Value,
    decode_values,
    encode_values,
)
from sanityd.model.identical_rows import IDENTICAL_ROW
from sanityd.store import episodes, evidence, remedies
from sanityd.store.name_list import name_list
from sanityd.store.runs import OVERLAP
from sanityd.store.secure_delete import overwrite_deleted
from sanityd.store.tables import insert_into, triage, violations


def recent_rows(connection: Connection, rule: str, at: datetime) -> dict[str, TrackedViolation]:
    """Return a rule's open violations and the recently resolved ones, by fingerprint."""
    return recent_rows_of(connection, [rule], at).get(rule, {})


def recent_rows_of(
    connection: Connection, rules: Iterable[str], at: datetime
) -> dict[str, dict[str, TrackedViolation]]:
    """Return the same of several rules, by rule; rules without such rows are left out."""
    names = name_list(connection, rules)
    recent = violations.c.resolved_at >= at - REGRESSION_WINDOW
    query = select(violations).where(
        violations.c.rule.in_(select(names.c.value)), or_(violations.c.open, recent)
    )
    by_rule: dict[str, dict[str, TrackedViolation]] = {}
    for row in connection.execute(query).mappings():
        by_rule.setdefault(row["rule"], {})[row["fingerprint"]] = _tracked(row)
    return by_rule


def open_keys(connection: Connection, rule: str) -> dict[str, Key]:
    """The keys of a rule's open violations, by fingerprint."""
    query = select(violations.c.fingerprint, violations.c.key).where(
        violations.c.rule == rule, violations.c.open
    )
    return {mark: decode_values(key) for mark, key in connection.execute(query)}


def open_keys_of(connection: Connection, rules: Iterable[str]) -> dict[str, dict[str, Key]]:
    """Return the same of several rules, by rule; rules without open violations are left out."""
    names = name_list(connection, rules)
    query = select(violations.c.rule, violations.c.fingerprint, violations.c.key).where(
        violations.c.rule.in_(select(names.c.value)), violations.c.open
    )
    by_rule: dict[str, dict[str, Key]] = {}
    for rule, mark, key in connection.execute(query):
        by_rule.setdefault(rule, {})[mark] = decode_values(key)
    return by_rule


def open_rows(connection: Connection, rule: str) -> list[TrackedViolation]:
    """A rule's open violations, oldest first, and in the order of their keys."""
    query = select(violations).where(violations.c.rule == rule, violations.c.open)
    return _in_order(_tracked(row) for row in connection.execute(query).mappings())


def resolved_rows(connection: Connection, rule: str, since: datetime) -> list[TrackedViolation]:
    """Return a rule's violations that were resolved since then, the longest open first."""
    query = select(violations).where(
        violations.c.rule == rule, ~violations.c.open, violations.c.resolved_at >= since
    )
    rows = connection.execute(query.order_by(violations.c.first_seen)).mappings()
    return [_tracked(row) for row in rows]


def all_rows(connection: Connection, rule: str) -> list[TrackedViolation]:
    """Return every stored violation of a rule, open or resolved."""
    query = select(violations).where(violations.c.rule == rule).order_by(violations.c.first_seen)
    return [_tracked(row) for row in connection.execute(query).mappings()]


def count_first_seen(connection: Connection, rule: str, since: datetime) -> dict[datetime, int]:
    """Return how many rows were first seen at each time since then.

    Of a row that regressed, only the last time is known.
    """
    at = violations.c.first_seen
    query = (
        select(at, func.count().label("rows"))
        .where(violations.c.rule == rule, at >= since)
        .group_by(at)
    )
    return {row.first_seen: row.rows for row in connection.execute(query)}


def keys_first_seen(connection: Connection, rule: str, at: datetime, most: int) -> list[Key]:
    """Return the keys of rows that were first seen at that time, `most` at most."""
    return _keys(connection, violations.c.first_seen == at, rule, most)


def keys_resolved(connection: Connection, rule: str, at: datetime, most: int) -> list[Key]:
    """Return the keys of rows that were resolved at that time, `most` at most."""
    return _keys(connection, violations.c.resolved_at == at, rule, most)


def _keys(
    connection: Connection, condition: ColumnElement[bool], rule: str, most: int
) -> list[Key]:
    query = select(violations.c.key).where(violations.c.rule == rule, condition)
    keys = connection.execute(query.order_by(violations.c.fingerprint).limit(most)).scalars()
    return [decode_values(key) for key in keys]


def earlier_episodes(
    connection: Connection, row: TrackedViolation, rule: str
) -> list[TrackedViolation]:
    """Return the earlier episodes of a row that are still known, oldest first."""
    ended = episodes.of_rows(connection, rule, [row.fingerprint])
    return [_episode(row, values) for values in ended.get(row.fingerprint, [])]


def all_episodes(connection: Connection, rule: str) -> list[TrackedViolation]:
    """Return every stored violation of a rule with its earlier episodes, oldest first."""
    rows = all_rows(connection, rule)
    ended = episodes.of_rows(connection, rule, [row.fingerprint for row in rows])
    result = list(rows)
    for row in rows:
        result += [_episode(row, values) for values in ended.get(row.fingerprint, [])]
    return _in_order(result)


def _episode(row: TrackedViolation, values: Mapping[str, Any]) -> TrackedViolation:
    return replace(row, open=False, last_seen=values["first_seen"], **values)


def count_resolved(
    connection: Connection, rule: str, since: datetime
) -> dict[datetime, dict[Resolution, int]]:
    """Return how many rows were resolved at each time since then, by resolution."""
    at, resolution = violations.c.resolved_at, violations.c.resolution
    query = select(at, resolution, func.count().label("rows")).where(
        violations.c.rule == rule, at >= since, resolution.is_not(None)
    )
    ends: dict[datetime, dict[Resolution, int]] = {}
    for row in connection.execute(query.group_by(at, resolution)):
        ends.setdefault(row.resolved_at, {})[Resolution(row.resolution)] = row.rows
    return ends


def new_since(
    connection: Connection, rules: Iterable[str], since: datetime, at: datetime
) -> dict[str, dict[datetime, int]]:
    """Return how many open violations were first seen at each time after `since`, until `at`.

    By rule, in one statement. Rows that people accepted are not counted.
    """
    names = name_list(connection, rules)
    seen = violations.c.first_seen
    accepted = exists().where(
        triage.c.rule == violations.c.rule,
        triage.c.fingerprint == violations.c.fingerprint,
        triage.c.ended_at.is_(None),
    )
    late = and_(
        violations.c.rule.in_(select(names.c.value)),
        violations.c.open,
        seen > since,
        seen <= at + OVERLAP,
        ~accepted,
    )
    query = select(violations.c.rule, seen, func.count().label("rows")).where(late)
    by_rule: dict[str, dict[datetime, int]] = {}
    for row in connection.execute(query.group_by(violations.c.rule, seen)):
        by_rule.setdefault(row.rule, {})[row.first_seen] = row.rows
    return by_rule


def count_repeated(connection: Connection) -> dict[str, int]:
    """Return how many open rows repeat another one in all columns, by rule; no zeros."""
    # JSON is searched as text, which every database of the store can do.
    is_numbered = cast(violations.c.key, Text).contains(f'"{IDENTICAL_ROW}":', autoescape=True)
    query = select(violations.c.rule, func.count().label("rows")).where(
        violations.c.open, is_numbered
    )
    counts = connection.execute(query.group_by(violations.c.rule))
    return {row.rule: row.rows for row in counts}


def remove(connection: Connection, rule: str) -> None:
    """Delete all violations of a rule, as their keys may not stay as they are."""
    overwrite_deleted(connection)
    connection.execute(delete(violations).where(violations.c.rule == rule))
    evidence.remove(connection, rule)
    episodes.remove(connection, rule)
    remedies.forget_values(connection, rule)


def _in_order(rows: Iterable[TrackedViolation]) -> list[TrackedViolation]:
    """Return rows oldest first, and in the order of their keys."""
    return sorted(
        rows, key=lambda row: (row.first_seen, [_rank(value) for value in row.key.values()])
    )


def _rank(value: Value) -> tuple[int, Any]:
    """Return a sort key for values of any type: numbers by size, then texts, NULL last."""
    match value:
        case None:
            return 2, ""
        case int() | float() | Decimal() if math.isfinite(value):
            return 0, value
        case _:
            return 1, str(value)


_BEGUN = (Change.NEW, Change.REGRESSED, Change.FOLLOWED)


@dataclass(frozen=True, slots=True)
class RowChanges:
    """What a run changed about the rows of a rule."""

    rule: str
    source: str
    transitions: Sequence[Transition]


def apply(connection: Connection, changes: Iterable[RowChanges], at: datetime) -> None:
    """Write the changes of runs in a few statements.

    Violations that go on are written only when what is shown of them changed. Of a row that begins
    again, the episode before is kept.
    """
    updated = []
    begun: list[Mapping[str, Any]] = []
    ended = []
    for changed in changes:
        for transition in changed.transitions:
            if transition.has_new_values:
                updated.append(_new_values(changed.rule, transition))
            elif transition.change in _BEGUN:
                begun.append(_begun(changed.rule, changed.source, transition, at))
            elif transition.change is Change.RESOLVED:
                ended.append(_ended(changed.rule, transition, at))
    if begun:
        episodes.keep(connection, {(row["rule"], row["fingerprint"]) for row in begun})
    for statement, rows in ((_NEW_VALUES, updated), (_upsert(connection), begun), (_END, ended)):
        if rows:
            connection.execute(statement, rows)


_END = (
    update(violations)
    .where(violations.c.rule == bindparam("of"), violations.c.fingerprint == bindparam("mark"))
    .values(open=False, resolved_at=bindparam("end"), resolution=bindparam("how"))
)


_NEW_VALUES = (
    update(violations)
    .where(violations.c.rule == bindparam("of"), violations.c.fingerprint == bindparam("mark"))
    .values(shown=bindparam("values"), detail=bindparam("words"))
)


def _new_values(rule: str, change: Transition) -> Mapping[str, Any]:
    violation = change.violation
    return {
        "of": rule,
        "mark": change.fingerprint,
        "values": encode_values(violation.shown) if violation is not None else {},
        "words": violation.detail if violation is not None else "",
    }


def _ended(rule: str, change: Transition, at: datetime) -> Mapping[str, Any]:
    return {"of": rule, "mark": change.fingerprint, "end": at, "how": _how(change)}


def _how(change: Transition) -> str | None:
    return None if change.resolution is None else change.resolution.value


def _upsert(connection: Connection) -> Any:
    """Return an INSERT that reopens a violation of the same fingerprint."""
    new = insert_into(connection, violations)
    again = (
        "source",
        "key",
        "shown",
        "detail",
        "open",
        "first_seen",
        "last_seen",
        "resolved_at",
        "resolution",
    )
    return new.on_conflict_do_update(
        index_elements=[violations.c.rule, violations.c.fingerprint],
        set_={
            **{name: new.excluded[name] for name in again},
            "episodes": violations.c.episodes + 1,
        },
    )


def _begun(rule: str, source: str, change: Transition, at: datetime) -> Mapping[str, Any]:
    violation = change.violation
    return {
        "rule": rule,
        "fingerprint": change.fingerprint,
        "source": source,
        "key": encode_values(change.key),
        "shown": encode_values(violation.shown) if violation is not None else {},
        "detail": violation.detail if violation is not None else "",
        "open": True,
        "first_seen": change.since or at,
        "last_seen": at,
        "resolved_at": None,
        "resolution": None,
        "episodes": 1,
    }


def _tracked(row: RowMapping) -> TrackedViolation:
    return TrackedViolation(
        fingerprint=row["fingerprint"],
        key=decode_values(row["key"]),
        open=row["open"],
        first_seen=row["first_seen"],
        last_seen=row["last_seen"],
        resolved_at=row["resolved_at"],
        shown=decode_values(row["shown"]),
        detail=row["detail"],
        resolution=None if row["resolution"] is None else Resolution(row["resolution"]),
    )
