"""What the policy of noise decided about rules, kept as it came; rules that were never noisy have none."""

from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select

from sanityd.model import NoiseState
from sanityd.store.tables import insert_into, noise


def all_of(connection: Connection) -> dict[str, NoiseState]:
    """Every rule's standing."""
    return {
        row.rule: _read(row.state)
        for row in connection.execute(select(noise.c.rule, noise.c.state))
    }


def of_rule(connection: Connection, rule: str) -> NoiseState:
    """One rule's standing."""
    found = connection.execute(select(noise.c.state).where(noise.c.rule == rule)).scalar()
    return NoiseState() if found is None else _read(found)


def save(connection: Connection, rule: str, standing: NoiseState, at: datetime) -> None:
    """Keep a standing; the usual one needs no row."""
    if standing == NoiseState():
        connection.execute(delete(noise).where(noise.c.rule == rule))
        return
    written = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(standing).items()
    }
    new = insert_into(connection, noise).values(rule=rule, state=written, at=at)
    connection.execute(
        new.on_conflict_do_update(index_elements=[noise.c.rule], set_={"state": written, "at": at})
    )


def _read(kept: dict[str, Any]) -> NoiseState:
    times = {field.name for field in fields(NoiseState) if "datetime" in str(field.type)}
    values: dict[str, Any] = {
        name: datetime.fromisoformat(value) if name in times and value else value
        for name, value in kept.items()
    }
    return NoiseState(**values)
