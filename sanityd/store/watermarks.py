"""Up to where the rows of each rule were looked at, for rules that look at new ones."""

from collections.abc import Mapping

from sqlalchemy import Connection, delete, select

from sanityd.model import Watermark, decode_values, encode_values
from sanityd.store.tables import insert_into, watermarks


def of_rules(connection: Connection, rules: Mapping[str, str]) -> dict[str, Watermark]:
    """What is known of these rules, given with what each means now; nothing of those that must look at all rows."""
    found = connection.execute(select(watermarks).where(watermarks.c.rule.in_(rules)))
    return {
        row.rule: Watermark(
            row.column, row.full_at, marked_at=row.marked_at, **decode_values(row.marks)
        )
        for row in found
        if row.meaning == rules[row.rule]
    }


def remember(connection: Connection, rule: str, meaning: str, mark: Watermark | None) -> None:
    """What the last look leaves to the next one; None: nothing is known any more."""
    if mark is None:
        forget(connection, rule)
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


def forget(connection: Connection, rule: str) -> None:
    """A rule that changed or went begins anew."""
    connection.execute(delete(watermarks).where(watermarks.c.rule == rule))
