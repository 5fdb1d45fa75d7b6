"""Find what the examples of a rule don't show, by mutation testing.

The examples are run again with rows removed, and with clauses of the rule left out. Each gap is a
fact about the examples: a worse rule would pass them, too.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from sanityd.authoring.ruletests.fixtures import Example
from sanityd.authoring.ruletests.mutations import mutants
from sanityd.authoring.ruletests.runner import CaseResult, CaseRunner
from sanityd.checks.invariant import Invariant, TableName
from sanityd.model import Key, Run, Value
from sanityd.rules.cases import Case
from sanityd.rules.rule import Rule

#: What is compared: the keys, and the number of rows that they stand for. None: not evaluated.
Answer = tuple[tuple[str, ...], int] | None
#: Number of rows of a table that are removed one by one.
_REMOVED_ROWS = 20


@dataclass(frozen=True, slots=True)
class CoverageGap:
    """Something that the examples of a rule don't show, and what would show it."""

    rule: str
    #: The case at which the gap is reported.
    case: Case
    message: str
    advice: str


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """An example with its result."""

    example: Example
    verdict: CaseResult

    @property
    def run(self) -> Run:
        """The run of the rule on the example's tables."""
        return self.verdict.run


def coverage_gaps(
    rule: Rule, played: Sequence[ExampleResult], runner: CaseRunner
) -> list[CoverageGap]:
    """Return what the examples of one rule, all of which passed, don't show."""
    return list(_GapFinder(rule, played, runner).all())


class _GapFinder:
    """Runs changed examples of one rule and compares the results."""

    def __init__(self, rule: Rule, played: Sequence[ExampleResult], runner: CaseRunner) -> None:
        self.rule = rule
        self.played = played
        self.runner = runner
        #: Numbers of the examples that distinguish the rule from a worse one.
        self.decisive: set[int] = set()

    def all(self) -> Iterator[CoverageGap]:
        """Yield each gap, the worst first."""
        if not any(result.run.violations for result in self.played):
            advice = "add a row that violates it, or an example that does"
            yield self._gap("no example shows that this rule can fail", advice)
            return
        if not any(_accepts_something(result) for result in self.played):
            advice = (
                "add a row, or an example, that it must let pass: a rule that reports every row "
                "would find the same"
            )
            yield self._gap("no example shows that this rule can hold", advice)
            return
        yield from self._constant_result()
        table_gaps = list(self._needless_tables())
        yield from table_gaps
        yield from self._needless_clauses(of_other_tables=not table_gaps)
        yield from self._empty_examples()

    def _constant_result(self) -> Iterator[CoverageGap]:
        """Yield a gap when the rule finds the same whichever rows are removed."""
        if not self.rule.invariant.check.about_rows:
            return
        for result in self.played:
            for smaller in _with_fewer_rows(result.example):
                if self._differs(result, smaller):
                    return
        advice = "look at the rule: what it finds doesn't come from the rows"
        yield self._gap("the same is found whatever rows are taken away", advice)

    def _needless_tables(self) -> Iterator[CoverageGap]:
        """Yield the tables other than the rule's own that don't affect the result."""
        own_table = self.rule.invariant.subject.table
        has_rows: dict[TableName, bool] = {}
        for result in self.played:
            for fixture in result.example.fixtures:
                if fixture.table != own_table:
                    had_rows = has_rows.get(fixture.table, False)
                    has_rows[fixture.table] = had_rows or bool(fixture.rows)
        for table, is_filled in has_rows.items():
            if not is_filled:
                advice = "add some: nothing shows what they change"
                yield self._gap(f"no example has a row in `{table}`", advice)
            elif not self._is_noticed(partial(_with_empty_table, table)):
                message = f"the rows of `{table}` make no difference in any example"
                yield self._gap(message, "add a row there that changes what is found")

    def _needless_clauses(self, *, of_other_tables: bool) -> Iterator[CoverageGap]:
        """Yield the clauses that don't affect the result.

        Parameters: `of_other_tables` is whether to report clauses about other tables, which is
        needless where the tables themselves don't affect the result.
        """
        invariant = self.rule.invariant
        has_other_tables = any(invariant.check.tables())
        dialect = self.played[0].example.dialects.get(self.rule.source, "")
        needless: set[str] = set()
        for mutant in mutants(invariant, dialect):
            is_about_others = has_other_tables and mutant.invariant.check != invariant.check
            if is_about_others and not of_other_tables:
                continue
            if mutant.part_of in needless:
                continue
            if not self._is_noticed(partial(_with_rule, mutant.invariant)):
                needless.add(mutant.label)
                advice = "without it the same is found: add a row for which it alone decides"
                yield self._gap(f"no example needs {mutant.label}", advice)

    def _empty_examples(self) -> Iterator[CoverageGap]:
        """Yield the examples without violations and without rows that the rule accepts."""
        for number, result in enumerate(self.played):
            if result.run.violations or _accepts_something(result) or number in self.decisive:
                continue
            message = "this example proves nothing: the rule has nothing to judge in it"
            advice = "give it rows that the rule judges, or take it out"
            yield self._gap(message, advice, result.example.case)

    def _is_noticed(self, change: Callable[[Example], Example]) -> bool:
        """Whether the result of any example changes. An error is a change, too."""
        is_noticed = False
        for number, result in enumerate(self.played):
            if self._differs(result, change(result.example)):
                is_noticed = True
                self.decisive.add(number)
        return is_noticed

    def _differs(self, result: ExampleResult, changed: Example) -> bool:
        run, _ = self.runner.evaluate(changed, result.verdict.on)
        columns = [name for name in result.run.key if name in run.key]
        return _answer(run, columns) != _answer(result.run, columns)

    def _gap(self, message: str, advice: str, case: Case | None = None) -> CoverageGap:
        return CoverageGap(self.rule.id, case or self.played[0].example.case, message, advice)


def _answer(run: Run, columns: Sequence[str]) -> Answer:
    if not run.answered:
        return None
    keys = []
    for key in _keys(run):
        values = [key.get(name) for name in columns]
        keys.append(repr(values))
    return tuple(sorted(keys)), run.rows


def _accepts_something(result: ExampleResult) -> bool:
    """Whether the rule checks something that it doesn't report."""
    example, run = result.example, result.run
    check, table = example.invariant.check, example.invariant.subject.table
    own = None
    for fixture in example.fixtures:
        if fixture.table == table:
            own = fixture
            break
    if not check.about_rows:
        return own is not None and any({"column": name} not in _keys(run) for name in own.columns)
    if run.key == ("fault",):
        return not run.violations and run.checked != 0
    if own is None:
        return _has_row_without_key(_rows(example), run)
    if check.brings_own_key:
        return _has_row_without_key(own.rows, run)
    # A violation that isn't a row of the table, such as a gap, may stand for more than its rows.
    counts_rows = own.columns.keys() >= set(run.key)
    reported_rows = run.rows if counts_rows else 0
    return (run.checked or 0) > reported_rows


def _has_row_without_key(rows: Sequence[Mapping[str, Value]], run: Run) -> bool:
    """Whether a row belongs to no violation, where the run doesn't tell what it checked."""
    keys = _keys(run)
    return any(not any(_has_key(row, key) for key in keys) for row in rows)


def _with_fewer_rows(example: Example) -> Iterator[Example]:
    """Yield the example with all tables empty, then without each of the first rows."""
    yield example.with_rows({fixture.table: () for fixture in example.fixtures})
    for fixture in example.fixtures:
        for number in range(min(len(fixture.rows), _REMOVED_ROWS)):
            rows = (*fixture.rows[:number], *fixture.rows[number + 1 :])
            yield example.with_rows({fixture.table: rows})


def _with_empty_table(table: TableName, example: Example) -> Example:
    return example.with_rows({table: ()})


def _with_rule(mutant: Invariant, example: Example) -> Example:
    """Return the example for another rule, with the key that the example has."""
    subject = replace(mutant.subject, key=example.invariant.subject.key)
    invariant = replace(example.invariant, subject=subject, check=mutant.check)
    return replace(example, invariant=invariant)


def _rows(example: Example) -> list[Mapping[str, Value]]:
    rows: list[Mapping[str, Value]] = []
    for fixture in example.fixtures:
        rows += fixture.rows
    return rows


def _keys(run: Run) -> list[Key]:
    return [violation.key for violation in run.tracked]


def _has_key(row: Mapping[str, Value], key: Key) -> bool:
    """Whether a row has all values of a key, in columns of the same names."""
    for name, value in key.items():
        if name not in row:
            return False
        if row[name] != value and str(row[name]) != str(value):
            return False
    return True
