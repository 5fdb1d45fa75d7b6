"""What the rules file said of a rule at a time, by the changes that the audit knows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from sanityd.store import audit, rule_texts

_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_END = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """What a rules file said of a rule, as plain data, since when, and who changed it."""

    rule: str
    since: datetime
    author: str
    #: The action in the audit, as `rule changed`, and the revision and commit.
    action: str
    reason: str
    content: Mapping[str, Any]


def texts_between(
    connection: Connection, rule: str, begin: datetime, end: datetime
) -> list[RuleVersion]:
    """Return the texts of a rule that held at some time between these, oldest first.

    Empty when they were not stored, as versions before this one did not.
    """
    before: RowMapping | None = None
    during: list[RowMapping] = []
    for entry in audit.of_rule(connection, rule):
        if entry["action"] not in (*audit.RULE_CHANGES, audit.RULE_KEPT):
            continue
        if _since(entry) <= begin:
            before = entry
        elif _since(entry) <= end and (entry["action"] != audit.RULE_KEPT or not during):
            during.append(entry)
    entries = during if before is None else [before, *during]
    texts = []
    for entry in entries:
        content = rule_texts.get(connection, entry["detail"].get("text", ""))
        if content is not None:
            texts.append(_text(rule, entry, content))
    return texts


def _since(entry: RowMapping) -> datetime:
    """Return since when a text holds: retention repeats old entries with their time."""
    if entry["action"] == audit.RULE_KEPT:
        return datetime.fromisoformat(entry["detail"]["at"])
    at: datetime = entry["at"]
    return at


def _text(rule: str, entry: RowMapping, content: Mapping[str, Any]) -> RuleVersion:
    since = _since(entry)
    return RuleVersion(rule, since, entry["actor"], entry["action"], entry["reason"], content)


def last_tables(connection: Connection, rules: Iterable[str]) -> dict[str, str]:
    """Return the table that each rule named last, where that is known, by rule."""
    tables = {}
    for rule in rules:
        for text in texts_between(connection, rule, _BEGINNING, _END):
            for written in text.content.get("rules", {}).values():
                if isinstance(written, dict) and isinstance(written.get("table"), str):
                    tables[rule] = written["table"]
    return tables
