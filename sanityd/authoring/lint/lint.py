"""Everything that can be said of a rules file: its own mistakes, and what the databases say, each
at its place."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sanityd.alerts.compose.template_lint import check_templates
from sanityd.authoring.lint.database import RuleDatabaseCheck
from sanityd.authoring.ruletests import suite
from sanityd.checks.base import plural
from sanityd.checks.invariant import TableName
from sanityd.errors import CheckError, Problem, RuleError, SourceError
from sanityd.rules.diagnostics import as_advice, in_order
from sanityd.rules.draft import RuleDraft
from sanityd.rules.load import examine
from sanityd.rules.rule import RuleSet
from sanityd.rules.yaml import rules_document
from sanityd.rules.yaml.rules_document import Document
from sanityd.sources import privileges
from sanityd.sources.base import Snapshot
from sanityd.sources.open import open_source
from sanityd.sources.snapshot_pool import SnapshotPool


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found, in the order of the files, and in what: None where a file can't be read to
    its end."""

    problems: tuple[Problem, ...]
    rules: RuleSet | None = None

    @property
    def has_errors(self) -> bool:
        """Whether anything is wrong, and not only worth a look."""
        return any(problem.level == "error" for problem in self.problems)


def lint(path: Path, *, connect: bool = False) -> Findings:
    """Look at a rules file, and with `connect` also ask the databases about all of it that can be
    read."""
    try:
        document = rules_document.parse(path)
        examination = examine(document, path, need_secrets=connect)
    except RuleError as error:
        return Findings(error.problems)
    rules = examination.rules
    found = [
        *examination.problems,
        *check_templates(rules.folder / "alerts"),
        *suite.problems(rules, document),
    ]
    found += _unheard(rules, document)
    if connect:
        found += connected(rules, document, examination.drafts)
    return Findings(in_order(dict.fromkeys(found)), rules)


def _unheard(rules: RuleSet, document: Document) -> Iterator[Problem]:
    """A warning, once, that nobody hears of rules although there are channels. A file without any
    tells nobody on purpose, as in CI; so does a rule that says `notify: []`."""
    defaults = document.data.get("defaults")
    if (
        not rules.channels
        or not rules.rules
        or (isinstance(defaults, dict) and "notify" in defaults)
    ):
        return
    says = {
        name
        for name, raw in document.data["rules"].items()
        if isinstance(raw, dict) and "notify" in raw
    }
    heard = {*says, *(one.id for one in rules.rules.values() if one.notify or not one.enabled)}
    silent = [one for one in rules.rules.values() if not heard & {one.id, one.written}]
    if silent:
        named = ", ".join(f"`{one.id}`" for one in silent[:3]) + (", …" if silent[3:] else "")
        message = f"{len(silent):,} {plural(len(silent), 'rule notifies', 'rules notify')} none of these channels: {named}"
        advice = f"write `notify: [{next(iter(rules.channels))}]` there or below `defaults:`; `notify: []` means nobody"
        yield document.problem(("channels",), message, advice, key=True, level="warning")


def connected(
    rules: RuleSet, document: Document, drafts: Iterable[RuleDraft] | None = None
) -> Iterator[Problem]:
    """Ask each source about its rules. A source that doesn't answer is one problem, not one for
    each rule.

    Parameters: `drafts` are what is asked about; by default all rules.
    """
    if drafts is None:
        drafts = [RuleDraft.of(rule) for rule in rules.rules.values()]
    silent: set[str] = set()
    filtered: set[TableName] = set()
    with SnapshotPool(rules.sources) as views:
        for name in rules.sources:
            try:
                views.snapshot(name)
            except SourceError as error:
                silent.add(name)
                yield _of_source(document, name, error)
        for draft in drafts:
            if draft.source not in silent and draft.source in rules.sources:
                invariant = draft.invariant
                other = invariant.elsewhere if invariant is not None else None
                elsewhere = (
                    None
                    if other in silent or other not in {None, *rules.sources}
                    else views.snapshot
                )
                try:
                    yield from RuleDatabaseCheck(
                        document, draft, views.snapshot(draft.source), elsewhere
                    ).problems()
                    yield from _of_filtered(document, draft, views.snapshot(draft.source), filtered)
                except SourceError as error:
                    silent.add(error.source or draft.source)
                    yield _of_source(document, error.source or draft.source, error)
    # Not while the snapshots are held: a source may allow a single connection.
    for name in rules.sources.keys() - silent:
        yield from _of_rights(document, rules, name)


def _of_source(document: Document, name: str, error: SourceError) -> Problem:
    plain = "check that it answers, and that its URL and rights are right"
    advice = as_advice(error.hint) if error.has_advice else plain
    message = error.message if f"`{name}`" in error.message else f"source `{name}`: {error.message}"
    return document.problem(("sources", name), message, advice, key=True)


def _of_filtered(
    document: Document, draft: RuleDraft, snapshot: Snapshot, told: set[TableName]
) -> Iterator[Problem]:
    """Tables of its own source of which rows may be hidden from this login, once each: nobody looks
    at those."""
    subject, place = draft.subject, ("rules", draft.name)
    named = [(subject.table, (*place, "table"))] if subject.table else []
    others = [
        TableName.parse(text, subject.sources, subject.source)
        for text in (draft.check.tables() if draft.check is not None else ())
    ]
    named += [(table, (*place, draft.kind)) for table in others if table.source == draft.source]
    for table, at in named:
        # That it isn't there is told already.
        with suppress(CheckError):
            if table not in told and snapshot.table(table.name, table.schema).is_filtered:
                told.add(table)
                message = f"row-level security may hide rows of `{table}` from this login: nobody looks at them"
                yield document.problem(at, message, privileges.SEE_ALL, level="warning")


def _of_rights(document: Document, rules: RuleSet, name: str) -> Iterator[Problem]:
    source = open_source(rules.sources[name])
    try:
        if source.can_write():
            place = ("sources", name)
            yield document.problem(
                place, privileges.warning(name), privileges.ADVICE, key=True, level="warning"
            )
    except SourceError as error:
        yield _of_source(document, name, error)
    finally:
        source.close()
