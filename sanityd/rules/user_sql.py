"""The SQL that people write into rules, brought to the gate before any database sees it."""

from sanityd.checks.base import Check
from sanityd.errors import Problem
from sanityd.rules.diagnostics import as_advice
from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document
from sanityd.sources.sql_gate import GateRefusal, gate_predicate, gate_query


def gate_problems(
    document: Document,
    place: KeyPath,
    check: Check,
    where: str | None,
    dialects: tuple[str | None, str | None],
) -> list[Problem]:
    """What the gate refuses in a rule, at its place inside the YAML value.

    Parameters: `dialects` are those of the rule's source and of what its check says; without one, common SQL counts.
    """
    own, others = dialects
    inside = (*place, check.kind)
    texts = [(gate_predicate, (*place, "where"), where, own)] if where is not None else []
    texts += [
        (gate_predicate, document.find(inside, sql) or inside, sql, others) for sql in check.sql()
    ]
    if (query := check.query_sql()) is not None:
        texts.append((gate_query, document.find(inside, query) or inside, query, own))
    if (there := check.query_there()) is not None:
        sql = str(there.query)
        texts.append((gate_query, document.find(inside, sql) or inside, sql, others))
    found = []
    for gate, path, sql, dialect in texts:
        try:
            gate(sql, dialect or "")
        except GateRefusal as refusal:
            at = (refusal.line, refusal.column)
            advice = as_advice(refusal.advice)
            found.append(
                document.problem(path, refusal.message, advice, at=at, length=refusal.length)
            )
    return found
