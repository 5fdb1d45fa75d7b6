"""Find all that its database would refuse in one rule, each with its position in the file."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import select

from sanityd.authoring.lint.mentions import mentions_of
from sanityd.authoring.lint.sql_errors import RefusedSql, SqlError, quoted
from sanityd.checks import planner
from sanityd.checks.base import Check
from sanityd.checks.expressions import other_expressions, own_expressions
from sanityd.checks.invariant import Invariant
from sanityd.checks.planner import Elsewhere, PlannedCheck
from sanityd.checks.scope import Scope
from sanityd.errors import CheckError, Problem
from sanityd.rules.diagnostics import as_advice
from sanityd.rules.draft import RuleDraft
from sanityd.rules.evidence import (
    EvidenceQuery,
    parameter_problem,
    unknown_columns,
    unknown_parameter,
)
from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document
from sanityd.sources.base import Snapshot
from sanityd.sources.sql_gate import check_against
from sanityd.sources.sql_parameters import parameters_of, without_parameters

#: The words of databases for a function that doesn't exist.
_NO_FUNCTION = re.compile("no such function|does not exist", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _RuleText:
    """SQL of a rule: its position, its table, and how to let the database read it."""

    path: KeyPath
    sql: str
    snapshot: Snapshot
    #: The table that a condition is about; None for a whole SELECT.
    scope: Scope | None
    ask: Callable[[str], object]
    #: Whether it is a key of the file, not a value.
    is_key: bool = False


class RuleDatabaseCheck:
    """Asks one source about one rule.

    Parameters: `elsewhere` returns the snapshots of other sources; None where the one that the rule
    needs doesn't answer: then only the part about its own source is checked.
    """

    def __init__(
        self, document: Document, draft: RuleDraft, snapshot: Snapshot, elsewhere: Elsewhere | None
    ) -> None:
        self._document = document
        self._draft = draft
        self._invariant = draft.invariant
        self._snapshot = snapshot
        self._elsewhere = elsewhere
        # A rule that `for_each` made has the position of the rule with `for_each`.
        self._path: KeyPath = ("rules", draft.name)

    def problems(self) -> Iterator[Problem]:
        """Yield all problems."""
        faults: list[CheckError] = []
        refused: CheckError | None = None
        try:
            self._ask(faults)
        except CheckError as error:
            refused = error
        if not faults and refused is None:
            return
        for fault in faults:
            yield from self._fault_problems(fault)
        sql_problems = list(self._sql_problems())
        yield from sql_problems
        # The error of the whole statement repeats the error of its part.
        if refused is not None and not sql_problems and not faults:
            yield from self._fault_problems(refused)

    def evidence_problems(self, query: EvidenceQuery, snapshot: Snapshot) -> Iterator[Problem]:
        """Yield the problems of one query of `evidence`.

        Parameters: `snapshot` is that of the source that the query reads.
        """
        path = (*self._path, "evidence", query.name)
        sql_path = self._document.find(path, query.sql) or path
        values: dict[str, object] = dict.fromkeys(query.parameters)

        def ask(sql: str) -> object:
            return snapshot.lookup(sql, values, query.rows)

        try:
            lookup = snapshot.lookup(query.sql, values, query.rows)
        except CheckError as refused:
            sql = without_parameters(query.sql, snapshot.source.dialect.name)
            rule_text = _RuleText(sql_path, sql, snapshot, None, ask)
            yield from self._word_problems(rule_text, refused)
            return
        yield from unknown_columns(self._document, path, query.own_show, lookup.c.keys())
        key = self._key()
        if key is None:
            return
        for parameter in parameters_of(query.sql, snapshot.source.dialect.name):
            fault = unknown_parameter(parameter.name, key)
            if fault is not None:
                yield parameter_problem(self._document, sql_path, query.sql, parameter, fault)

    def _key(self) -> tuple[str, ...] | None:
        """Return the columns of the key of the rule's violations; None for a wrong rule."""
        if self._invariant is None:
            return None
        if not self._invariant.check.quotes_rows:
            return ()
        with suppress(CheckError):
            check = planner.plan_check(self._invariant, self._snapshot, self._elsewhere, [])
            return tuple(check.key)
        return None

    def _ask(self, faults: list[CheckError]) -> None:
        """Let the database read the rule's SQL and no row. Raises CheckError when it refuses."""
        invariant = self._invariant
        if invariant is None:
            self._ask_about_own_table(faults)
            return
        if self._elsewhere is None and invariant.elsewhere is not None:
            self._ask_about_own_table(faults)
            return
        query = invariant.check.query_sql()
        if query is not None and not invariant.subject.key:
            # That the rule needs a key has been reported.
            self._snapshot.query(query)
            return
        check = planner.plan_check(invariant, self._snapshot, self._elsewhere, faults)
        _request_columns(check)
        for name in self._draft.columns:
            check.scope.column(name)
        statements = list(check.form.statements(check))
        if not faults:
            for scope, statement in statements:
                scope.snapshot.rows(statement.limit(0))

    def _ask_about_own_table(self, faults: list[CheckError]) -> None:
        """Ask about the rule's own table, without the parts of its check about another one."""
        draft, check = self._draft, self._draft.check
        query = check.query_sql() if check is not None else None
        scope = Scope(self._snapshot, draft.subject, query=query, faults=faults)
        for name in (*_own_columns(check), *draft.subject.key, *draft.columns):
            scope.column(name)
        if check is not None:
            for name in draft.subject.show:
                scope.column(name)
        elif draft.scan.column is not None:
            planner.tells_new(scope, draft.scan.column)
        statement = select(1).select_from(scope.table).where(scope.rows)
        if not faults:
            self._snapshot.rows(statement.limit(0))

    def _fault_problems(self, fault: CheckError) -> Iterator[Problem]:
        """Yield a problem at each position that names what is wrong, else one at the check."""
        kind, advice = self._draft.kind, as_advice(fault.hint)
        word = fault.word
        if word is None:
            match = quoted(fault.message, repr(self._document.at(self._path)))
            word = match[0] if match is not None else None
        if word is None:
            path = (*self._path, kind)
            yield self._document.problem(path, fault.message, advice, key=True)
            return
        mentions = mentions_of(self._document, self._path, kind, word, in_other_table=fault.there)
        for mention in mentions:
            if mention.is_key:
                yield self._document.problem(mention.path, fault.message, advice, key=True)
            else:
                yield self._document.problem(mention.path, fault.message, advice, word=word)
        if not mentions:
            yield self._document.problem(self._path, fault.message, advice, word=word)

    def _sql_problems(self) -> Iterator[Problem]:
        for rule_text in self._rule_texts():
            try:
                rule_text.ask(rule_text.sql)
            except CheckError as refused:
                yield from self._word_problems(rule_text, refused)

    def _word_problems(self, rule_text: _RuleText, answer: CheckError) -> Iterator[Problem]:
        """Yield a problem at each wrong word of refused SQL, else one for the whole SQL."""
        source = rule_text.snapshot.source
        refused = RefusedSql(
            rule_text.sql,
            source.settings.name,
            source.dialect.name,
            answer,
            lambda schema, name: rule_text.snapshot.table(name, schema),
            rule_text.scope.info if rule_text.scope else None,
        )
        errors = refused.errors()
        errors += _function_errors(rule_text, errors)
        if not errors:
            yield self._document.problem(
                rule_text.path, answer.message, as_advice(answer.hint), key=rule_text.is_key
            )
        for error in errors:
            line = rule_text.sql.count("\n", 0, error.start) + 1
            column = error.start - rule_text.sql.rfind("\n", 0, error.start)
            yield self._document.problem(
                rule_text.path,
                error.message,
                as_advice(error.hint),
                key=rule_text.is_key,
                at=(line, column),
                length=error.length,
            )

    def _rule_texts(self) -> Iterator[_RuleText]:
        """Yield all SQL of the rule, each with how to ask about it alone."""
        invariant = self._invariant
        faults: list[CheckError] = []
        if invariant is None:
            scope = Scope(self._snapshot, self._draft.subject, faults=faults)
            yield from self._where_texts(scope)
            return
        check = invariant.check
        path = (*self._path, invariant.kind)
        own_scope = None
        query = check.query_sql()
        if query is not None:
            yield self._query(path, query, self._snapshot)
        elif invariant.subject.table:
            own_scope = Scope(self._snapshot, invariant.subject, faults=faults)
            yield from self._where_texts(own_scope)
        other_snapshot = self._elsewhere_snapshot(invariant)
        other_query = check.query_elsewhere()
        if other_query is not None and other_snapshot is not None:
            yield self._query(path, str(other_query.query), other_snapshot)
        yield from self._expressions(invariant, own_scope, faults, other_snapshot)
        scope_of_conditions = self._other(invariant, faults, other_snapshot) or own_scope
        if scope_of_conditions is None:
            return
        for sql in check.sql():
            yield self._condition(path, sql, scope_of_conditions)

    def _where_texts(self, scope: Scope) -> Iterator[_RuleText]:
        where = self._draft.subject.where
        if where is not None:
            yield self._condition((*self._path, "where"), where, scope)

    def _expressions(
        self,
        invariant: Invariant,
        own_scope: Scope | None,
        faults: list[CheckError],
        snapshot: Snapshot | None,
    ) -> Iterator[_RuleText]:
        """Yield the expressions that stand in place of columns of both tables."""
        compared = invariant.check.compared_columns()
        path = (*self._path, invariant.kind)
        if own_scope is not None:
            for sql in filter(own_scope.is_expression, own_expressions(compared)):
                yield self._expression(path, sql, own_scope, is_own=True)
        other = self._other(invariant, faults, snapshot)
        if other is not None:
            for sql in filter(other.is_expression, other_expressions(compared)):
                yield self._expression(path, sql, other, is_own=False)

    def _expression(self, path: KeyPath, sql: str, scope: Scope, *, is_own: bool) -> _RuleText:
        def ask(sql: str) -> object:
            return scope.snapshot.value_type(scope.snapshot.expression(sql), scope.table)

        key_path = self._document.find_key(path, sql) if is_own else None
        exact_path = key_path or self._document.find(path, sql) or path
        return _RuleText(exact_path, sql, scope.snapshot, scope, ask, key_path is not None)

    def _other(
        self, invariant: Invariant, faults: list[CheckError], snapshot: Snapshot | None
    ) -> Scope | None:
        """Return the scope of the check's conditions, where they are about another table."""
        check = invariant.check
        tables = list(check.tables())
        if not tables or not check.compared_columns() or snapshot is None:
            return None
        own = Scope(self._snapshot, invariant.subject, faults=faults)
        return own.other(tables[0], None, snapshot)

    def _elsewhere_snapshot(self, invariant: Invariant) -> Snapshot | None:
        if invariant.elsewhere is None:
            return self._snapshot
        return None if self._elsewhere is None else self._elsewhere(invariant.elsewhere)

    def _condition(self, path: KeyPath, sql: str, scope: Scope) -> _RuleText:
        def ask(sql: str) -> object:
            if scope.absent:
                return None
            statement = select(scope.predicate(sql)).select_from(scope.table)
            return scope.snapshot.rows(statement.limit(0))

        exact_path = self._document.find(path, sql) or path
        return _RuleText(exact_path, sql, scope.snapshot, scope, ask)

    def _query(self, path: KeyPath, sql: str, snapshot: Snapshot) -> _RuleText:
        exact_path = self._document.find(path, sql) or path
        return _RuleText(exact_path, sql, snapshot, None, snapshot.query)


def _function_errors(rule_text: _RuleText, errors: Sequence[SqlError]) -> list[SqlError]:
    """Return the error for a missing function in SQL with wrong columns.

    A database reports one error at a time, so it is asked again with NULL in place of the columns.
    """
    if not errors:
        return []
    sql, start = "", 0
    for error in errors:
        # Neither a table nor what follows the name of a table can be replaced by NULL.
        is_column = error.message.startswith("table ")
        if not is_column or rule_text.sql[error.start - 1 : error.start] == ".":
            return []
        sql += rule_text.sql[start : error.start] + "NULL"
        start = error.start + error.length
    try:
        rule_text.ask(sql + rule_text.sql[start:])
    except CheckError as answer:
        word = quoted(answer.message, rule_text.sql)
        if word is None or not _NO_FUNCTION.search(answer.message):
            # A function that is ambiguous, as the type of its argument isn't known, exists.
            return []
        if rule_text.sql[word.end() :].lstrip().startswith("("):
            hint = check_against(rule_text.snapshot.source.dialect.name)
            length = word.end() - word.start()
            return [SqlError(word.start(), length, answer.message, hint)]
    return []


def _own_columns(check: Check | None) -> tuple[str, ...]:
    """Return the columns of the rule's own table that are compared with another one."""
    compared = check.compared_columns() if check is not None else ()
    return tuple(compared[0].columns) if compared else ()


def _request_columns(check: PlannedCheck) -> None:
    """Request the columns that the rule names outside of its check, so that faults are recorded."""
    scope, invariant = check.scope, check.invariant
    if not scope.info.name:
        return
    for name in invariant.subject.key:
        scope.column(name)
    if invariant.scan.column is not None:
        planner.tells_new(scope, invariant.scan.column)
