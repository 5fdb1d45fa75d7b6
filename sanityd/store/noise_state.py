"""The decisions of the noise policy about rules; a rule without a row is in the usual state."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select

from sanityd.model import NoiseState
from sanityd.store.name_list import name_list
from sanityd.store.tables import insert_into, noise


def all_of(connection: Connection) -> dict[str, NoiseState]:
    """Return the state of every rule that has one."""
    rows = connection.execute(select(noise.c.rule, noise.c.state))
    return {row.rule: _decode(row.state) for row in rows}


def of_rule(connection: Connection, rule: str) -> NoiseState:
    """Return the state of a rule."""
    return of_rules(connection, [rule]).get(rule, NoiseState())


def of_rules(connection: Connection, rules: Iterable[str]) -> dict[str, NoiseState]:
    """Return the states of those of these rules that have one."""
    wanted = noise.c.rule.in_(select(name_list(connection, rules).c.value))
    rows = connection.execute(select(noise.c.rule, noise.c.state).where(wanted))
    return {row.rule: _decode(row.state) for row in rows}


def save(connection: Connection, rule: str, state: NoiseState, at: datetime) -> None:
    """Store the state of a rule; the usual state needs no row."""
    save_all(connection, {rule: state}, at)


def save_all(connection: Connection, states: Mapping[str, NoiseState], at: datetime) -> None:
    """Store the states of rules, in two statements at most."""
    usual = [rule for rule, state in states.items() if state == NoiseState()]
    if usual:
        unneeded = noise.c.rule.in_(select(name_list(connection, usual).c.value))
        connection.execute(delete(noise).where(unneeded))
    rows = [
        {"rule": rule, "state": _encode(state), "at": at}
        for rule, state in states.items()
        if state != NoiseState()
    ]
    if not rows:
        return
    new = insert_into(connection, noise)
    changed = {"state": new.excluded.state, "at": new.excluded.at}
    connection.execute(new.on_conflict_do_update(index_elements=[noise.c.rule], set_=changed), rows)


def _encode(state: NoiseState) -> dict[str, Any]:
    encoded = asdict(state)
    for name, value in encoded.items():
        if isinstance(value, datetime):
            encoded[name] = value.isoformat()
    return encoded


def _decode(stored: dict[str, Any]) -> NoiseState:
    times = {field.name for field in fields(NoiseState) if "datetime" in str(field.type)}
    values = dict(stored)
    for name in times & values.keys():
        if values[name]:
            values[name] = datetime.fromisoformat(values[name])
    return NoiseState(**values)
