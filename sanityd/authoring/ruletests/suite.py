"""All examples of a rules file, or of a file of its own, read, checked, and played one after the
other."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from sanityd.authoring.ruletests.coverage_gaps import CoverageGap, Played, coverage_gaps
from sanityd.authoring.ruletests.fixtures import Example, Maker
from sanityd.authoring.ruletests.runner import CaseResult, CaseRunner
from sanityd.checks.invariant import TableName
from sanityd.errors import CheckError, Problem, RuleError
from sanityd.rules import load
from sanityd.rules.case_reader import CaseReader, zones
from sanityd.rules.cases import Case
from sanityd.rules.diagnostics import in_order
from sanityd.rules.rule import Rule, RuleSet
from sanityd.rules.validation_errors import unknown_key
from sanityd.rules.yaml import rules_document
from sanityd.rules.yaml.rules_document import Document
from sanityd.sources.catalog import TableInfo
from sanityd.sources.open import dialect_of
from sanityd.sources.snapshot_pool import SnapshotPool


@dataclass(frozen=True, slots=True)
class Suite:
    """Examples by rule, ready to be played."""

    rules: RuleSet
    document: Document
    examples: Mapping[str, tuple[Example, ...]]

    @property
    def count(self) -> int:
        """How many examples there are."""
        return sum(map(len, self.examples.values()))

    @property
    def document_name(self) -> str:
        """The file that the examples stand in, or the folder."""
        files = list(self.document.files)
        return str(files[0] if len(files) == 1 else files[0].parent)

    def only(self, wanted: Callable[[Case], bool]) -> "Suite":
        """Those that are wanted."""
        picked = {
            rule: tuple(one for one in all_of if wanted(one.case))
            for rule, all_of in self.examples.items()
        }
        return Suite(
            self.rules, self.document, {rule: some for rule, some in picked.items() if some}
        )

    def warning(self, doubt: CoverageGap) -> Problem:
        """A doubt as lint tells it, at its place."""
        message = f"{doubt.rule}: {doubt.message}"
        return self.document.problem(
            doubt.case.place, message, doubt.advice, key=True, level="warning"
        )


@dataclass(frozen=True, slots=True)
class SuiteReport:
    """What came of a suite. Doubts are of rules all of whose examples passed."""

    verdicts: tuple[CaseResult, ...]
    gaps: tuple[CoverageGap, ...]

    @property
    def passed(self) -> bool:
        """Whether every rule found what it had to find."""
        return all(verdict.passed for verdict in self.verdicts)


def has_rules(path: Path) -> bool:
    """Whether it is a rules file, or a folder of them, and not a file that has nothing but
    tests."""
    return path.is_dir() or "rules" in rules_document.parse(path).data


def read(path: Path, file: Path | None = None, *, connect: bool = False) -> Suite:
    """The examples of the rules file `path`, or of a `file` that has nothing but `tests:` for it.

    Parameters: with `connect` the databases are asked for tables, types and keys; else none is
    needed, nor any environment variable. Raises RuleError with every mistake, SourceError when a
    database that is asked doesn't answer.
    """
    written = rules_document.parse(path)
    rules = load.read(written, path, need_secrets=connect)
    named = zones(written.data.get("sources"))
    if file is None:
        return _suite(rules, named, written, rules.cases, connect=connect)
    document = rules_document.parse(file)
    invariants = {rule.id: rule.invariant for rule in rules.rules.values()}
    reader = CaseReader(document, invariants, rules.rules, named)
    strangers = [
        unknown_key(document, (name,), ["tests"], "a file of tests")
        for name in document.data
        if name != "tests"
    ]
    cases = reader.read()
    if problems := [*document.problems, *strangers, *reader.problems]:
        raise RuleError(problems)
    return _suite(rules, named, document, cases, connect=connect)


def problems(rules: RuleSet, document: Document) -> list[Problem]:
    """What is wrong with the examples of a rules file, beyond what reading it tells."""
    if not rules.cases:
        return []
    maker = _maker(rules, zones(document.data.get("sources")), document, {})
    for rule, case in _all(rules, rules.cases):
        maker.example(case, rule)
    return maker.problems


def play(
    suite: Suite,
    workshop: CaseRunner,
    *,
    doubting: bool = True,
    seen: Callable[[CaseResult], object] = id,
) -> SuiteReport:
    """Play every example; then, rule by rule, look for what they don't show. `seen` is called with
    each verdict."""
    verdicts: list[CaseResult] = []
    found: list[CoverageGap] = []
    for name, examples in suite.examples.items():
        played = []
        for example in examples:
            verdict = workshop.play(example)
            seen(verdict)
            verdicts.append(verdict)
            played.append(Played(example, verdict))
        if doubting and all(one.verdict.passed for one in played):
            found += coverage_gaps(suite.rules.rules[name], played, workshop)
    return SuiteReport(tuple(verdicts), tuple(found))


def _suite(
    rules: RuleSet,
    named: Mapping[str, ZoneInfo],
    document: Document,
    cases: Mapping[str, tuple[Case, ...]],
    *,
    connect: bool,
) -> Suite:
    if not any(cases.values()):
        advice = "write `tests:`, and below it the id of a rule with `given:` and `violates:`"
        raise RuleError([document.problem((), "there are no tests", advice)])
    catalog, missing = _catalog(rules, document, cases) if connect else ({}, [])
    maker = _maker(rules, named, document, catalog)
    examples: dict[str, list[Example]] = {}
    for rule, case in _all(rules, cases):
        examples.setdefault(rule.id, []).append(maker.example(case, rule))
    if found := [*missing, *maker.problems]:
        raise RuleError(in_order(found))
    return Suite(rules, document, {rule: tuple(all_of) for rule, all_of in examples.items()})


def _all(rules: RuleSet, cases: Mapping[str, Iterable[Case]]) -> Iterable[tuple[Rule, Case]]:
    return [(rules.rules[name], case) for name, some in cases.items() for case in some]


def _maker(
    rules: RuleSet,
    named: Mapping[str, ZoneInfo],
    document: Document,
    catalog: Mapping[TableName, TableInfo],
) -> Maker:
    dialects = {name: dialect_of(settings.url) or "" for name, settings in rules.sources.items()}
    return Maker(document, named, dialects, catalog)


def _catalog(
    rules: RuleSet, document: Document, cases: Mapping[str, Iterable[Case]]
) -> tuple[dict[TableName, TableInfo], list[Problem]]:
    """What the real databases say of the tables of all examples."""
    catalog: dict[TableName, TableInfo] = {}
    missing: list[Problem] = []
    with SnapshotPool(rules.sources) as views:
        for _, case in _all(rules, cases):
            for table, text in case.named.items():
                try:
                    if table not in catalog:
                        catalog[table] = views.snapshot(table.source).table(
                            table.name, table.schema
                        )
                except CheckError as error:
                    place = (*case.place, "given", text)
                    missing.append(document.problem(place, error.message, error.hint, key=True))
    return catalog, missing
