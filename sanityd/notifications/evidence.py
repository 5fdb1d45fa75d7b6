"""Evidence in messages: of the rows that a message may list, where the rule mails it."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from sanityd.model import Cause, Evidence, News
from sanityd.rules.rule import RuleSet
from sanityd.store import evidence

#: Of how many of the oldest and of the newest rows evidence is read.
_ROWS = 30


def with_evidence(connection: Connection, rules: RuleSet, news: Sequence[News]) -> tuple[News, ...]:
    """Return the entries of a message with the evidence that their rules mail."""
    return tuple(_added_to(connection, rules, item) for item in news)


def _added_to(connection: Connection, rules: RuleSet, news: News) -> News:
    rule = rules.rules.get(news.rule.id)
    incident = news.incident
    if rule is None or incident is None or incident.cause is not Cause.VIOLATED:
        return news
    mailed = {query.name for query in rule.evidence if query.mailed}
    if not mailed or not incident.open:
        return news
    marks = {row.fingerprint for row in (*news.rows[:_ROWS], *news.rows[-_ROWS:])}
    found: dict[str, tuple[Evidence, ...]] = {}
    for mark, items in evidence.of_rows(connection, rule.id, marks).items():
        found[mark] = tuple(item for item in items if item.name in mailed)
    return replace(news, evidence=found)
