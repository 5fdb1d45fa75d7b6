"""One rule and its database: everything that the database would refuse in it, each at its word in
the file."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from sanityd.authoring.lint import mentions
from sanityd.authoring.lint.sql_errors import Refused, Wrong, quoted
from sanityd.checks import planner
from sanityd.checks.base import Check
from sanityd.checks.invariant import Invariant
from sanityd.checks.planner import Elsewhere, PlannedCheck
from sanityd.checks.scope import Scope
from sanityd.errors import CheckError, Problem
from sanityd.rules.diagnostics import as_advice
from sanityd.rules.draft import RuleDraft
from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document
from sanityd.sources.base import AnySelect, Snapshot
from sanityd.sources.sql_gate import check_against

#: How databases say that there is no such function.
_MISSING = re.compile("no such function|does not exist", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _RuleText:
    """SQL of the user's: where it stands, what it is about, and how to have the database read
    it."""

    place: KeyPath
    sql: str
    snapshot: Snapshot
    #: The table that a condition is about; None for a whole SELECT.
    scope: Scope | None
    ask: Callable[[str], object]


class RuleDatabaseCheck:
    """Asks one source about one rule.

    Parameters: `elsewhere` gives the snapshots of other sources; None where the one that the rule
    needs doesn't answer, so that only its own half is asked about.
    """

    def __init__(
        self, document: Document, draft: RuleDraft, snapshot: Snapshot, elsewhere: Elsewhere | None
    ) -> None:
        self._document = document
        self._draft = draft
        self._invariant = draft.invariant
        self._snapshot = snapshot
        self._elsewhere = elsewhere
        # A rule that `for_each` made stands where it was written once.
        self._place: KeyPath = ("rules", draft.name)

    def problems(self) -> Iterator[Problem]:
        """What is wrong, all of it."""
        faults: list[CheckError] = []
        refused: CheckError | None = None
        try:
            self._ask(faults)
        except CheckError as error:
            refused = error
        if not faults and refused is None:
            return
        for fault in faults:
            yield from self._named(fault)
        of_sql = list(self._of_sql())
        yield from of_sql
        # What the whole statement says of a part of it is told already.
        if refused is not None and not of_sql and not faults:
            yield from self._named(refused)

    def _ask(self, faults: list[CheckError]) -> None:
        """Let the database read the rule's SQL without reading any row. Raises CheckError when it
        can't."""
        invariant = self._invariant
        if invariant is None:
            self._own_half(faults)
            return
        if self._elsewhere is None and invariant.elsewhere is not None:
            self._own_half(faults)
            return
        query = invariant.check.query_sql()
        if query is not None and not invariant.subject.key:
            # That it needs a key is told already; what it selects can't be narrowed to one.
            self._snapshot.query(query)
            return
        look = planner.plan_check(invariant, self._snapshot, self._elsewhere, faults)
        _name_columns(look)
        for name in self._draft.columns:
            look.scope.column(name)
        statements = list(_statements(look))
        if not faults:
            for snapshot, statement in statements:
                snapshot.rows(statement.limit(0))

    def _own_half(self, faults: list[CheckError]) -> None:
        """Ask about the rule's own table, without what its check says of another one."""
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

    def _named(self, fault: CheckError) -> Iterator[Problem]:
        """A problem at each place that names what is wrong; at the check itself where none does."""
        say, kind, advice = self._document.problem, self._draft.kind, as_advice(fault.hint)
        word = fault.word
        if word is None and (found := quoted(fault.message, repr(self._document.at(self._place)))):
            word = found[0]
        if word is None:
            yield say((*self._place, kind), fault.message, advice, key=True)
            return
        named = list(mentions.places(self._document, self._place, kind, word, there=fault.there))
        for name in named:
            yield say(
                name.place,
                fault.message,
                advice,
                key=name.is_key,
                word=None if name.is_key else word,
            )
        if not named:
            yield say(self._place, fault.message, advice, word=word)

    def _of_sql(self) -> Iterator[Problem]:
        for written in self._written():
            try:
                written.ask(written.sql)
            except CheckError as refused:
                yield from self._at_word(written, refused)

    def _at_word(self, written: _RuleText, answer: CheckError) -> Iterator[Problem]:
        source = written.snapshot.source
        refused = Refused(
            written.sql,
            source.settings.name,
            source.dialect.name,
            answer,
            lambda schema, name: written.snapshot.table(name, schema),
            written.scope.info if written.scope else None,
        )
        wrong = [*(found := refused.wrong()), *_functions(written, found)]
        if not wrong:
            yield self._document.problem(written.place, answer.message, as_advice(answer.hint))
        for one in wrong:
            at = (
                written.sql.count("\n", 0, one.start) + 1,
                one.start - written.sql.rfind("\n", 0, one.start),
            )
            yield self._document.problem(
                written.place, one.message, as_advice(one.hint), at=at, length=one.length
            )

    def _written(self) -> Iterator[_RuleText]:
        """All SQL of the rule, each with how to ask about it alone."""
        invariant = self._invariant
        own: list[CheckError] = []
        if invariant is None:
            yield from self._written_where(Scope(self._snapshot, self._draft.subject, faults=own))
            return
        check, subject = invariant.check, invariant.subject
        inside = (*self._place, invariant.kind)
        if (query := check.query_sql()) is not None:
            yield self._query(inside, query, self._snapshot)
            scope = None
        else:
            scope = Scope(self._snapshot, subject, faults=own) if subject.table else None
        if scope is not None:
            yield from self._written_where(scope)
        there = self._elsewhere_snapshot(invariant)
        if (pair := check.query_there()) is not None and there is not None:
            yield self._query(inside, str(pair.query), there)
        other = self._other(invariant, own, there)
        about = scope if other is None else other
        for sql in check.sql() if about is not None else ():
            assert about is not None
            yield self._condition(inside, sql, about)

    def _written_where(self, scope: Scope) -> Iterator[_RuleText]:
        where = self._draft.subject.where
        if where is not None:
            yield self._condition((*self._place, "where"), where, scope)

    def _other(
        self, invariant: Invariant, faults: list[CheckError], there: Snapshot | None
    ) -> Scope | None:
        """The table that the check's own conditions are about, where it is another one."""
        check = invariant.check
        tables = list(check.tables())
        if not tables or not check.compared_columns() or there is None:
            return None
        return Scope(self._snapshot, invariant.subject, faults=faults).other(tables[0], None, there)

    def _elsewhere_snapshot(self, invariant: Invariant) -> Snapshot | None:
        if invariant.elsewhere is None:
            return self._snapshot
        return None if self._elsewhere is None else self._elsewhere(invariant.elsewhere)

    def _condition(self, place: KeyPath, sql: str, scope: Scope) -> _RuleText:
        def ask(sql: str) -> object:
            if scope.absent:
                return None
            return scope.snapshot.rows(
                select(scope.predicate(sql)).select_from(scope.table).limit(0)
            )

        return _RuleText(self._document.find(place, sql) or place, sql, scope.snapshot, scope, ask)

    def _query(self, place: KeyPath, sql: str, snapshot: Snapshot) -> _RuleText:
        return _RuleText(
            self._document.find(place, sql) or place, sql, snapshot, None, snapshot.query
        )


def _functions(written: _RuleText, names: Sequence[Wrong]) -> Iterator[Wrong]:
    """A function that there isn't, behind columns that there aren't: the database, which tells one
    thing at a time, is asked again with NULL in their places."""
    sql, start = "", 0
    for one in names:
        # A table can't be NULL, nor can what stands behind the name of one.
        if one.message.startswith("table ") and written.sql[one.start - 1 : one.start] != ".":
            sql += written.sql[start : one.start] + "NULL"
            start = one.start + one.length
        else:
            return
    try:
        if names:
            written.ask(sql + written.sql[start:])
    except CheckError as answer:
        word = quoted(answer.message, written.sql)
        # One that can't choose among several, as the type of its argument isn't known, is there.
        missing = _MISSING.search(answer.message)
        if missing and word is not None and written.sql[word.end() :].lstrip().startswith("("):
            hint = check_against(written.snapshot.source.dialect.name)
            yield Wrong(word.start(), word.end() - word.start(), answer.message, hint)


def _own_columns(check: Check | None) -> tuple[str, ...]:
    """The columns of the rule's own table by which it is compared with another one."""
    compared = check.compared_columns() if check is not None else ()
    return tuple(compared[0].columns) if compared else ()


def _name_columns(look: PlannedCheck) -> None:
    """Ask for the columns that the rule names besides its check."""
    scope, invariant = look.scope, look.invariant
    if not scope.info.name:
        return
    for name in invariant.subject.key:
        scope.column(name)
    if invariant.scan.column is not None:
        planner.tells_new(scope, invariant.scan.column)


def _statements(look: PlannedCheck) -> Iterator[tuple[Snapshot, AnySelect]]:
    """What will be asked, such that the database reads it and no row."""
    for scope, statement in look.form.statements(look):
        yield scope.snapshot, statement
