"""Find the problems of a rules file, each with its position.

They are the mistakes in the file itself, and on request what the databases report.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sanityd.alerts.compose.template_lint import check_templates
from sanityd.authoring.lint.database import RuleDatabaseCheck
from sanityd.authoring.ruletests import suite
from sanityd.authoring.unmatched import unmatched
from sanityd.checks.base import plural
from sanityd.checks.invariant import TableName
from sanityd.checks.planner import Elsewhere
from sanityd.errors import CheckError, Problem, RuleError, SourceError
from sanityd.rules.diagnostics import as_advice, in_order
from sanityd.rules.draft import RuleDraft
from sanityd.rules.load import examine
from sanityd.rules.rule import RuleSet
from sanityd.rules.yaml import rules_document
from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document
from sanityd.sources import privileges
from sanityd.sources.base import Snapshot
from sanityd.sources.open import open_source
from sanityd.sources.snapshot_pool import SnapshotPool

#: Number of rules that one message names.
_NAMED_RULES = 3


@dataclass(frozen=True, slots=True)
class Findings:
    """The problems in the order of the files, and the rules; None where a file can't be read."""

    problems: tuple[Problem, ...]
    rules: RuleSet | None = None

    @property
    def has_errors(self) -> bool:
        """Whether there is an error, and not only warnings."""
        return any(problem.level == "error" for problem in self.problems)


def lint(path: Path, *, connect: bool = False) -> Findings:
    """Return the problems of a rules file; with `connect` also those that the databases report."""
    try:
        document = rules_document.parse(path)
        examination = examine(document, path, need_secrets=connect)
    except RuleError as error:
        return Findings(error.problems)
    rules = examination.rules
    problems = [
        *examination.problems,
        *check_templates(rules.folder / "alerts"),
        *suite.problems(rules, document),
        *_unnotified_rules(rules, document),
    ]
    if connect:
        problems += connected(rules, document, examination.drafts)
    return Findings(in_order(dict.fromkeys(problems)), rules)


def _unnotified_rules(rules: RuleSet, document: Document) -> Iterator[Problem]:
    """Yield one warning for all rules that notify nobody although the file has channels.

    A file without channels notifies nobody on purpose, as in CI; so does a rule with `notify: []`.
    """
    if not rules.channels or not rules.rules:
        return
    defaults = document.data.get("defaults")
    if isinstance(defaults, dict) and "notify" in defaults:
        return
    decided = _rules_with_recipients(rules, document)
    unnotified = [rule.id for rule in rules.rules.values() if not decided & {rule.id, rule.written}]
    if not unnotified:
        return
    names = ", ".join(f"`{rule_id}`" for rule_id in unnotified[:_NAMED_RULES])
    if len(unnotified) > _NAMED_RULES:
        names += ", …"
    verb = plural(len(unnotified), "rule notifies", "rules notify")
    message = f"{len(unnotified):,} {verb} none of these channels: {names}"
    channel = next(iter(rules.channels))
    advice = f"write `notify: [{channel}]` there or below `defaults:`; `notify: []` means nobody"
    yield document.problem(("channels",), message, advice, key=True, level="warning")


def _rules_with_recipients(rules: RuleSet, document: Document) -> set[str]:
    """Return the ids of rules that have `notify`, or recipients, or are disabled."""
    rule_ids = set()
    for rule_id, options in document.data["rules"].items():
        if isinstance(options, dict) and "notify" in options:
            rule_ids.add(rule_id)
    for rule in rules.rules.values():
        if rule.notify or not rule.enabled:
            rule_ids.add(rule.id)
    return rule_ids


def connected(
    rules: RuleSet, document: Document, drafts: Iterable[RuleDraft] | None = None
) -> Iterator[Problem]:
    """Ask each source about its rules, and yield the problems.

    A source that doesn't answer is one problem, not one for each of its rules.

    Parameters: `drafts` are the rules to ask about; by default all.
    """
    if drafts is None:
        drafts = [RuleDraft.of(rule) for rule in rules.rules.values()]
    check = _DatabaseCheck(rules, document)
    with SnapshotPool(rules.sources) as pool:
        for name in rules.sources:
            yield from check.connect(pool, name)
        for draft in drafts:
            yield from check.rule(pool, draft)
    # After the snapshots are closed: a source may allow a single connection.
    for name in rules.sources.keys() - check.down:
        yield from check.privileges(name)


class _DatabaseCheck:
    """Asks the sources of a rules file, and skips those that don't answer."""

    def __init__(self, rules: RuleSet, document: Document) -> None:
        self._rules = rules
        self._document = document
        #: The sources that don't answer.
        self.down: set[str] = set()
        #: The tables whose row-level security has been reported.
        self._reported: set[TableName] = set()

    def connect(self, pool: SnapshotPool, name: str) -> Iterator[Problem]:
        """Open the snapshot of a source."""
        try:
            pool.snapshot(name)
        except SourceError as error:
            self.down.add(name)
            yield self._source_problem(name, error)

    def rule(self, pool: SnapshotPool, draft: RuleDraft) -> Iterator[Problem]:
        """Ask the source of a rule about it."""
        if draft.source in self.down or draft.source not in self._rules.sources:
            return
        other = draft.invariant.elsewhere if draft.invariant is not None else None
        elsewhere: Elsewhere | None = pool.snapshot
        if other in self.down or other not in {None, *self._rules.sources}:
            elsewhere = None
        try:
            snapshot = pool.snapshot(draft.source)
            check = RuleDatabaseCheck(self._document, draft, snapshot, elsewhere)
            problems = list(check.problems())
            yield from problems
            yield from self._evidence(pool, draft, check)
            if not problems and elsewhere is not None:
                yield from self._unmatched(draft, snapshot, elsewhere)
            yield from self._row_security(draft, pool.snapshot(draft.source))
        except SourceError as error:
            name = error.source or draft.source
            self.down.add(name)
            yield self._source_problem(name, error)

    def _evidence(
        self, pool: SnapshotPool, draft: RuleDraft, check: RuleDatabaseCheck
    ) -> Iterator[Problem]:
        """Ask the source of each query of `evidence` about it."""
        for query in draft.evidence:
            if query.source not in self.down:
                yield from check.evidence_problems(query, pool.snapshot(query.source))

    def privileges(self, name: str) -> Iterator[Problem]:
        """Yield a warning when the login of a source can write."""
        source = open_source(self._rules.sources[name])
        try:
            if source.can_write():
                message = privileges.warning(name)
                yield self._document.problem(
                    ("sources", name), message, privileges.ADVICE, key=True, level="warning"
                )
        except SourceError as error:
            yield self._source_problem(name, error)
        finally:
            source.close()

    def _unmatched(
        self, draft: RuleDraft, snapshot: Snapshot, elsewhere: Elsewhere
    ) -> Iterator[Problem]:
        """Yield a warning for each value in a valid rule that its tables never have."""
        rule = self._rules.rules.get(draft.id)
        if rule is None:
            return
        for finding in unmatched(rule.invariant, snapshot, elsewhere):
            path: KeyPath = ("rules", draft.name, finding.option)
            message, advice = finding.message, finding.advice
            yield self._document.problem(path, message, advice, word=finding.word, level="warning")

    def _row_security(self, draft: RuleDraft, snapshot: Snapshot) -> Iterator[Problem]:
        """Yield a warning for each table of the rule's source that may hide rows, once each."""
        for table, path in _tables_of(draft):
            # A missing table has been reported.
            with suppress(CheckError):
                if table in self._reported:
                    continue
                if snapshot.table(table.name, table.schema).is_filtered:
                    self._reported.add(table)
                    message = (
                        f"row-level security may hide rows of `{table}` from this login: "
                        "they are not checked"
                    )
                    yield self._document.problem(path, message, privileges.SEE_ALL, level="warning")

    def _source_problem(self, name: str, error: SourceError) -> Problem:
        advice = "check that it answers, and that its URL and rights are right"
        if error.has_own_hint:
            advice = as_advice(error.hint)
        message = error.message
        if f"`{name}`" not in message:
            message = f"source `{name}`: {message}"
        return self._document.problem(("sources", name), message, advice, key=True)


def _tables_of(draft: RuleDraft) -> Iterator[tuple[TableName, KeyPath]]:
    """Yield the tables of the rule's own source, with their positions."""
    subject = draft.subject
    rule = ("rules", draft.name)
    if subject.table:
        yield subject.table, (*rule, "table")
    if draft.check is None:
        return
    for text in draft.check.tables():
        table = TableName.parse(text, subject.sources, subject.source)
        if table.source == draft.source:
            yield table, (*rule, draft.kind)
