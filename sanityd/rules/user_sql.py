"""The SQL that people write into rules, checked by the SQL gate before any database gets it."""

from collections.abc import Callable

from sanityd.checks.base import Check
from sanityd.errors import Problem
from sanityd.rules.diagnostics import as_advice
from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document
from sanityd.sources.sql_gate import GateRefusal, gate_predicate, gate_query


class SqlGate:
    """Checks the SQL of one rule.

    Parameters: `rule_path` is where the rule stands; `dialect` is that of the rule's source, and
    `other_dialect` that of the other source which its check reads, both as sqlglot names them. For
    None, only common SQL is accepted.
    """

    def __init__(
        self,
        document: Document,
        rule_path: KeyPath,
        dialect: str | None,
        other_dialect: str | None = None,
    ) -> None:
        self._document = document
        self._rule_path = rule_path
        self._dialect = dialect or ""
        self._other_dialect = other_dialect or ""

    def problems_of_where(self, where: str) -> list[Problem]:
        """Return what the gate refuses in the rule's `where`."""
        return self._refused(gate_predicate, (*self._rule_path, "where"), where, self._dialect)

    def problems_of_check(self, check: Check) -> list[Problem]:
        """Return what the gate refuses in the SQL of the check's options."""
        problems = []
        for sql in check.sql():
            path = self._path_of(check, sql)
            problems += self._refused(gate_predicate, path, sql, self._other_dialect)
        query = check.query_sql()
        if query is not None:
            problems += self._refused(gate_query, self._path_of(check, query), query, self._dialect)
        other_table = check.query_elsewhere()
        if other_table is not None:
            sql = str(other_table.query)
            problems += self._refused(
                gate_query, self._path_of(check, sql), sql, self._other_dialect
            )
        return problems

    def _path_of(self, check: Check, sql: str) -> KeyPath:
        check_path = (*self._rule_path, check.kind)
        return self._document.find(check_path, sql) or check_path

    def _refused(
        self, gate: Callable[[str, str], object], path: KeyPath, sql: str, dialect: str
    ) -> list[Problem]:
        try:
            gate(sql, dialect)
        except GateRefusal as refusal:
            problem = self._document.problem(
                path,
                refusal.message,
                as_advice(refusal.advice),
                at=(refusal.line, refusal.column),
                length=refusal.length,
            )
            return [problem]
        return []
