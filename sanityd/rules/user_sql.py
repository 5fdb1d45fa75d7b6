"""The SQL that people write into rules, checked by the SQL gate before any database gets it."""

from collections.abc import Callable

from sanityd.checks.base import Check
from sanityd.checks.expressions import other_expressions, own_expressions
from sanityd.errors import Problem
from sanityd.rules.diagnostics import as_advice
from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document
from sanityd.sources.sql_gate import (
    GateRefusal,
    gate_expression,
    gate_predicate,
    gate_query,
)


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
        compared = check.compared_columns()
        for sql in own_expressions(compared):
            problems += self._refused_expression(check, sql, self._dialect, is_own=True)
        for sql in other_expressions(compared):
            problems += self._refused_expression(check, sql, self._other_dialect, is_own=False)
        return problems

    def _refused_expression(
        self, check: Check, sql: str, dialect: str, *, is_own: bool
    ) -> list[Problem]:
        check_path = (*self._rule_path, check.kind)
        key_path = self._document.find_key(check_path, sql) if is_own else None
        path = key_path or self._path_of(check, sql)
        return self._refused(gate_expression, path, sql, dialect, key=key_path is not None)

    def _path_of(self, check: Check, sql: str) -> KeyPath:
        check_path = (*self._rule_path, check.kind)
        return self._document.find(check_path, sql) or check_path

    def _refused(
        self,
        gate: Callable[[str, str], object],
        path: KeyPath,
        sql: str,
        dialect: str,
        *,
        key: bool = False,
    ) -> list[Problem]:
        try:
            gate(sql, dialect)
        except GateRefusal as refusal:
            problem = self._document.problem(
                path,
                refusal.message,
                as_advice(refusal.advice),
                key=key,
                at=(refusal.line, refusal.column),
                length=refusal.length,
            )
            return [problem]
        return []
