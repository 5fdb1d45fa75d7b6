"""What the rules file said of each rule, by a digest of it: the audit names the digest, so that the
text of a rule at any time is known and can't be altered unnoticed. Each text is stored once."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, delete, select

from sanityd.store.audit import RULE_CHANGES, RULE_KEPT
from sanityd.store.audit_chain import text_digest
from sanityd.store.history_tables import rule_texts
from sanityd.store.tables import audit, insert_into


def save_all(connection: Connection, contents: Iterable[Mapping[str, Any]]) -> None:
    """Store texts of rules, as plain data without secrets, in one statement."""
    rows = {}
    for content in contents:
        digest = text_digest(content)
        rows[digest] = {"digest": digest, "content": dict(content)}
    if rows:
        new = insert_into(connection, rule_texts)
        unless_stored = new.on_conflict_do_nothing(index_elements=[rule_texts.c.digest])
        connection.execute(unless_stored, list(rows.values()))


def get(connection: Connection, digest: str) -> Mapping[str, Any] | None:
    """Return the text of that digest as plain data; None when it was not stored."""
    query = select(rule_texts.c.content).where(rule_texts.c.digest == digest)
    content: Mapping[str, Any] | None = connection.execute(query).scalar()
    return content


def delete_unnamed(connection: Connection) -> None:
    """Delete the texts that no entry of the audit names any more."""
    named = audit.c.detail["text"].as_string()
    digests = select(named).where(audit.c.action.in_((*RULE_CHANGES, RULE_KEPT)))
    # A NULL among them would make the answer NULL for every text.
    unnamed = rule_texts.c.digest.not_in(digests.where(named.is_not(None)))
    connection.execute(delete(rule_texts).where(unnamed))


def first_altered(connection: Connection) -> str | None:
    """Return the digest of a text that is not as it was stored; None if all are."""
    query = select(rule_texts.c.digest, rule_texts.c.content).order_by(rule_texts.c.digest)
    for digest, content in connection.execute(query):
        if text_digest(content) != digest:
            return str(digest)
    return None
