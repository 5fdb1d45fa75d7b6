"""What becomes of the requests of a rule that was changed or removed."""

from datetime import datetime

from sqlalchemy import Connection

from sanityd.pipeline.remedies.requests import used_columns
from sanityd.rules.rule import Rule
from sanityd.store import audit, remedy_values


def follow_rule(connection: Connection, name: str, rule: Rule | None, at: datetime) -> None:
    """Delete the values that the requests of a rule may not contain any more.

    The requests of a rule without a remedy that wait are cancelled, as nothing would ever send
    them. Parameters: `rule` is None when the file has none of that name.
    """
    if rule is not None and rule.remedy is not None:
        remedy_values.keep_columns(connection, name, used_columns(rule.remedy.filled))
        return
    remedy_values.keep_columns(connection, name, set())
    cancelled = remedy_values.cancel_waiting(connection, name, at)
    if cancelled:
        words = "the rule has no remedy any more"
        detail = {"requests": cancelled}
        audit.append(connection, at, "sanityd", "remedy cancelled", words, rule=name, detail=detail)
