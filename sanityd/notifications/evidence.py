"""Evidence in messages: of the rows that a message may list, where the rule mails it."""

from dataclasses import replace

from sqlalchemy import Connection

from sanityd.model import Cause, Evidence, News
from sanityd.rules.rule import RuleSet
from sanityd.store import evidence

#: Of how many of the oldest and of the newest rows evidence is read.
_ROWS = 30


def with_evidence(connection: Connection, rules: RuleSet, news: News) -> News:
    """Return an entry of a message with the evidence that its rule mails."""
    rule = rules.rules.get(news.rule.id)
    if rule is None or not _has_open_rows(news):
        return news
    mailed = {query.name for query in rule.evidence if query.mailed}
    if not mailed:
        return news
    marks = {row.fingerprint for row in (*news.rows[:_ROWS], *news.rows[-_ROWS:])}
    by_row: dict[str, tuple[Evidence, ...]] = {}
    for mark, items in evidence.of_rows(connection, rule.id, marks).items():
        by_row[mark] = tuple(item for item in items if item.name in mailed)
    return replace(news, evidence=by_row)


def _has_open_rows(news: News) -> bool:
    incident = news.incident
    return incident is not None and incident.open and incident.cause is Cause.VIOLATED
