"""What the databases say about a rules file: tables, columns, keys, SQL and rights, each at its place in the file."""

from collections.abc import Iterator, Sequence

from sqlalchemy import select

from sanityd import rulefile
from sanityd.checks import planner
from sanityd.checks.base import AggregateCheck, QueryCheck, RowCheck
from sanityd.checks.planner import Look
from sanityd.errors import CheckError, Problem, SourceError
from sanityd.rulefile import Document
from sanityd.rules.rule import Rule, RuleSet
from sanityd.sources import rights
from sanityd.sources.base import Snapshot
from sanityd.sources.open import open_source
from sanityd.sources.views import Views


def connected(rules: RuleSet) -> list[Problem]:
    """Ask each source about its rules. A source that doesn't answer is one problem, not one for each rule."""
    document = rulefile.parse(rules.path)
    found: list[Problem] = []
    for name, batch in rules.by_source(rules.rules.values()).items():
        try:
            source = open_source(rules.sources[name])
            try:
                with source.snapshot() as snapshot, Views(rules.sources) as views:
                    for rule in batch:
                        found += _of_rule(document, rule, snapshot, views)
                # Not while the snapshot is held: the source may allow a single connection.
                found += _of_rights(document, name, source.can_write())
            finally:
                source.close()
        except SourceError as error:
            place = ("sources", name)
            found.append(document.problem(place, f"source `{name}`: {error.message}", error.hint, key=True))
    return sorted(found, key=lambda problem: (str(problem.path), problem.line, problem.column))


def _of_rule(document: Document, rule: Rule, snapshot: Snapshot, views: Views) -> Iterator[Problem]:
    # A rule that `for_each` made stands where it was written once.
    place = ("rules", rule.id.partition("[")[0])
    try:
        _try_statements(planner.look(rule.invariant, snapshot, views.snapshot))
    except CheckError as error:
        if error.word is not None:
            yield document.problem(place, error.message, error.hint, word=error.word)
        else:
            yield document.problem((*place, rule.invariant.kind), error.message, error.hint, key=True)


def _of_rights(document: Document, source: str, can_write: bool) -> Sequence[Problem]:
    if not can_write:
        return ()
    place = ("sources", source)
    return (document.problem(place, rights.warning(source), rights.ADVICE, key=True, level="warning"),)


def _try_statements(look: Look) -> None:
    """Let the database read the rule's SQL without reading any row. Raises CheckError when it can't."""
    scope, check = look.scope, look.invariant.check
    if look.other is not None:
        # Each source reads its own half.
        look.other.snapshot.rows(select(1).select_from(look.other.table).where(look.other.rows).limit(0))
        scope.snapshot.rows(select(1).select_from(scope.table).where(scope.rows).limit(0))
        return
    match check:
        case RowCheck():
            statement = select(1).select_from(scope.table).where(look.violating)
        case QueryCheck():
            statement = check.violations(scope)
        case AggregateCheck():
            statement = select(1, *check.measures(scope).values()).select_from(scope.table).where(scope.rows)
        case _:
            return
    scope.snapshot.rows(statement.limit(0))
