"""Read, check and run all examples of a rules file, or of a separate file of tests."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from sanityd.authoring.ruletests.coverage_gaps import CoverageGap, ExampleResult, coverage_gaps
from sanityd.authoring.ruletests.example_builder import ExampleBuilder
from sanityd.authoring.ruletests.fixtures import Example
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
    """Examples by rule, ready to be run."""

    rules: RuleSet
    document: Document
    examples: Mapping[str, tuple[Example, ...]]

    @property
    def count(self) -> int:
        """The number of examples."""
        return sum(len(examples) for examples in self.examples.values())

    @property
    def document_name(self) -> str:
        """The file that holds the examples, or the folder of several."""
        files = list(self.document.files)
        return str(files[0] if len(files) == 1 else files[0].parent)

    def only(self, is_selected: Callable[[Case], bool]) -> "Suite":
        """Return the suite with only the selected cases."""
        selected: dict[str, tuple[Example, ...]] = {}
        for rule_id, examples in self.examples.items():
            selected_examples = tuple(item for item in examples if is_selected(item.case))
            if selected_examples:
                selected[rule_id] = selected_examples
        return Suite(self.rules, self.document, selected)

    def warning(self, gap: CoverageGap) -> Problem:
        """Return a coverage gap as a warning of lint, with its position."""
        message = f"{gap.rule}: {gap.message}"
        return self.document.problem(gap.case.path, message, gap.advice, key=True, level="warning")


@dataclass(frozen=True, slots=True)
class SuiteReport:
    """The results of a suite, and the gaps of the rules whose examples all passed."""

    verdicts: tuple[CaseResult, ...]
    gaps: tuple[CoverageGap, ...]

    @property
    def passed(self) -> bool:
        """Whether every rule found what it should find."""
        return all(verdict.passed for verdict in self.verdicts)


def has_rules(path: Path) -> bool:
    """Whether the path is a rules file or a folder of them, and not a file with only tests."""
    return path.is_dir() or "rules" in rules_document.parse(path).data


def read(path: Path, file: Path | None = None, *, connect: bool = False) -> Suite:
    """Read the examples of the rules file `path`, or of a `file` that has only `tests:` for it.

    Parameters: with `connect` the databases are asked for tables, types and keys; otherwise no
    database and no environment variable is needed. Raises RuleError with every mistake, and
    SourceError when a database doesn't answer.
    """
    rules_text = rules_document.parse(path)
    rules = load.read(rules_text, path, need_secrets=connect)
    source_zones = zones(rules_text.data.get("sources"))
    if file is None:
        return _suite(rules, source_zones, rules_text, rules.cases, connect=connect)
    document = rules_document.parse(file)
    invariants = {rule.id: rule.invariant for rule in rules.rules.values()}
    reader = CaseReader(document, invariants, rules.rules, source_zones)
    unknown_sections = [
        unknown_key(document, (name,), ["tests"], "a file of tests")
        for name in document.data
        if name != "tests"
    ]
    cases = reader.read()
    file_problems = [*document.problems, *unknown_sections, *reader.problems]
    if file_problems:
        raise RuleError(file_problems)
    return _suite(rules, source_zones, document, cases, connect=connect)


def problems(rules: RuleSet, document: Document) -> list[Problem]:
    """Return the mistakes in the examples of a rules file that reading it doesn't find."""
    if not rules.cases:
        return []
    builder = _builder(rules, zones(document.data.get("sources")), document, {})
    for rule, case in _rule_cases(rules, rules.cases):
        builder.build(case, rule)
    return builder.problems


def run_suite(suite: Suite, runner: CaseRunner, *, find_gaps: bool = True) -> SuiteReport:
    """Run every example, and return the results.

    Parameters: `find_gaps` is whether to look for what the examples of each rule don't show.
    """
    verdicts: list[CaseResult] = []
    gaps: list[CoverageGap] = []
    for rule_id, examples in suite.examples.items():
        played = [ExampleResult(example, runner.play(example)) for example in examples]
        rule_verdicts = [result.verdict for result in played]
        verdicts += rule_verdicts
        if find_gaps and all(verdict.passed for verdict in rule_verdicts):
            gaps += coverage_gaps(suite.rules.rules[rule_id], played, runner)
    return SuiteReport(tuple(verdicts), tuple(gaps))


def _suite(
    rules: RuleSet,
    source_zones: Mapping[str, ZoneInfo],
    document: Document,
    cases: Mapping[str, tuple[Case, ...]],
    *,
    connect: bool,
) -> Suite:
    """Build the examples. Raises RuleError when there are none, and for each mistake."""
    if not any(cases.values()):
        advice = "write `tests:`, and below it the id of a rule with `given:` and `violates:`"
        raise RuleError([document.problem((), "there are no tests", advice)])
    catalog: dict[TableName, TableInfo] = {}
    catalog_problems: list[Problem] = []
    if connect:
        catalog, catalog_problems = _catalog(rules, document, cases)
    builder = _builder(rules, source_zones, document, catalog)
    examples: dict[str, tuple[Example, ...]] = {}
    for rule, case in _rule_cases(rules, cases):
        examples[rule.id] = (*examples.get(rule.id, ()), builder.build(case, rule))
    all_problems = [*catalog_problems, *builder.problems]
    if all_problems:
        raise RuleError(in_order(all_problems))
    return Suite(rules, document, examples)


def _rule_cases(rules: RuleSet, cases: Mapping[str, Iterable[Case]]) -> Iterator[tuple[Rule, Case]]:
    for rule_id, rule_cases in cases.items():
        for case in rule_cases:
            yield rules.rules[rule_id], case


def _builder(
    rules: RuleSet,
    source_zones: Mapping[str, ZoneInfo],
    document: Document,
    catalog: Mapping[TableName, TableInfo],
) -> ExampleBuilder:
    dialects = {name: dialect_of(settings.url) or "" for name, settings in rules.sources.items()}
    return ExampleBuilder(document, source_zones, dialects, catalog)


def _catalog(
    rules: RuleSet, document: Document, cases: Mapping[str, Iterable[Case]]
) -> tuple[dict[TableName, TableInfo], list[Problem]]:
    """Return the real tables that the examples name, and a problem for each that is missing."""
    catalog: dict[TableName, TableInfo] = {}
    missing: list[Problem] = []
    with SnapshotPool(rules.sources) as pool:
        for _, case in _rule_cases(rules, cases):
            for table, text in case.named.items():
                if table in catalog:
                    continue
                try:
                    snapshot = pool.snapshot(table.source)
                    catalog[table] = snapshot.table(table.name, table.schema)
                except CheckError as error:
                    path = (*case.path, "given", text)
                    problem = document.problem(path, error.message, error.hint, key=True)
                    missing.append(problem)
    return catalog, missing
