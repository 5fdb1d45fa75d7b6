"""The SQL that people write into rules, brought to the gate before any database sees it."""

from sanityd.checks.base import Check
from sanityd.errors import Problem
from sanityd.rulefile import Document
from sanityd.sources.gate import GateRefusal, gate_predicate, gate_query

Place = tuple[str | int, ...]


def gate_problems(
    document: Document, place: Place, kind: str, where: str | None, check: Check, dialect: str | None
) -> list[Problem]:
    """What the gate refuses in a rule, at its place inside the YAML value. Without a dialect, common SQL counts."""
    texts = [(gate_predicate, (*place, "where"), where)] if where is not None else []
    texts += [(gate_predicate, document.find((*place, kind), sql) or (*place, kind), sql) for sql in check.sql()]
    if (query := check.query_sql()) is not None:
        texts.append((gate_query, document.find((*place, kind), query) or (*place, kind), query))
    found = []
    for gate, path, sql in texts:
        try:
            gate(sql, dialect or "")
        except GateRefusal as refusal:
            at = (refusal.line, refusal.column)
            found.append(document.problem(path, refusal.message, refusal.advice, at=at, length=refusal.length))
    return found
