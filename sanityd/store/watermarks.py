"""For rules that read only new rows: up to which value of a column all rows were read."""

from collections.abc import Mapping

from sqlalchemy import Connection, delete, select

from sanityd.model import Watermark, decode_values, encode_values
from sanityd.store.tables import insert_into, watermarks


def of_rules(connection: Connection, rules: Mapping[str, str]) -> dict[str, Watermark]:
    """Return the watermarks; `rules` maps each rule to its meaning now.

    A rule without a watermark, or with another meaning, must read all rows.
    """
    rows = connection.execute(select(watermarks).where(watermarks.c.rule.in_(rules)))
    return {
        row.rule: Watermark(
            row.column, row.full_at, marked_at=row.marked_at, **decode_values(row.marks)
        )
        for row in rows
        if row.meaning == rules[row.rule]
    }


def save(connection: Connection, rule: str, meaning: str, mark: Watermark | None) -> None:
    """Store the watermark after a run; None deletes it."""
    if mark is None:
        remove(connection, rule)
        return
    values = {
        "meaning": meaning,
        "column": mark.column,
        "full_at": mark.full_at,
        "marked_at": mark.marked_at,
        "marks": encode_values({"safe": mark.safe, "mark": mark.mark}),
    }
    insert = insert_into(connection, watermarks).values(rule=rule, **values)
    connection.execute(insert.on_conflict_do_update(index_elements=["rule"], set_=values))


def remove(connection: Connection, rule: str) -> None:
    """Delete the watermark of a rule, so that its next run reads all rows."""
    connection.execute(delete(watermarks).where(watermarks.c.rule == rule))
