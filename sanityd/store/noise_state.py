"""The decisions of the noise policy about rules; a rule without a row is in the usual state."""

from collections.abc import Iterable
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
    if state == NoiseState():
        connection.execute(delete(noise).where(noise.c.rule == rule))
        return
    encoded = asdict(state)
    for name, value in encoded.items():
        if isinstance(value, datetime):
            encoded[name] = value.isoformat()
    new = insert_into(connection, noise).values(rule=rule, state=encoded, at=at)
    connection.execute(
        new.on_conflict_do_update(index_elements=[noise.c.rule], set_={"state": encoded, "at": at})
    )


def _decode(stored: dict[str, Any]) -> NoiseState:
    times = {field.name for field in fields(NoiseState) if "datetime" in str(field.type)}
    values = dict(stored)
    for name in times & values.keys():
        if values[name]:
            values[name] = datetime.fromisoformat(values[name])
    return NoiseState(**values)
