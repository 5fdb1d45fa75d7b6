"""What the examples of a rule don't show. They are played again with rows taken away and with
clauses left out.

Every doubt is a fact about the examples: a rule that is worse would have passed them, too.
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

#: What is compared: the keys, and how many rows stand behind them. None: there was no answer.
Answer = tuple[tuple[str, ...], int] | None
#: How many rows of a table are taken away one by one.
_TRIED = 20


@dataclass(frozen=True, slots=True)
class CoverageGap:
    """Something that the examples of a rule don't show, and what would."""

    rule: str
    #: The case by whose place it is told.
    case: Case
    message: str
    advice: str


@dataclass(frozen=True, slots=True)
class Played:
    """An example with what came of it."""

    example: Example
    verdict: CaseResult

    @property
    def run(self) -> Run:
        """What was found."""
        return self.verdict.run


def coverage_gaps(rule: Rule, played: Sequence[Played], workshop: CaseRunner) -> list[CoverageGap]:
    """What the examples of one rule, all of which passed, don't show."""
    return list(_GapFinder(rule, played, workshop).all())


class _GapFinder:
    """Plays the examples of one rule again and again."""

    def __init__(self, rule: Rule, played: Sequence[Played], workshop: CaseRunner) -> None:
        self.rule = rule
        self.played = played
        self.workshop = workshop
        #: The examples that told the rule from a worse one.
        self.telling: set[int] = set()

    def all(self) -> Iterator[CoverageGap]:
        """Every doubt, the gravest first."""
        if not any(one.run.violations for one in self.played):
            advice = "add a row that violates it, or an example that does"
            yield self._doubt("no example shows that this rule can fail", advice)
            return
        if not any(_lets_pass(one) for one in self.played):
            advice = "add a row, or an example, that it must let pass: a rule that condemns everything would find the same"
            yield self._doubt("no example shows that this rule can hold", advice)
            return
        yield from self._immovable()
        needless = list(self._evidence())
        yield from needless
        yield from self._clauses(with_others=not needless)
        yield from self._empty()

    def _immovable(self) -> Iterator[CoverageGap]:
        """A rule that finds the same whatever rows are taken away: what it finds doesn't come from
        them."""
        if not self.rule.invariant.check.about_rows:
            return
        for one in self.played:
            for less in _with_less(one.example):
                if self._differs(one, less):
                    return
        advice = "look at the rule: what it finds doesn't come from the rows"
        yield self._doubt("the same is found whatever rows are taken away", advice)

    def _evidence(self) -> Iterator[CoverageGap]:
        """Tables besides the rule's own whose rows make no difference."""
        own = self.rule.invariant.subject.table
        others: dict[TableName, bool] = {}
        for sheet in (
            sheet for one in self.played for sheet in one.example.sheets if sheet.table != own
        ):
            others[sheet.table] = others.get(sheet.table, False) or bool(sheet.rows)
        for table, has_rows in others.items():
            if not has_rows:
                advice = "add some: nothing shows what they change"
                yield self._doubt(f"no example has a row in `{table}`", advice)
            elif not self._is_noticed(_emptied(table)):
                advice = "add a row there that changes what is found"
                yield self._doubt(
                    f"the rows of `{table}` make no difference in any example", advice
                )

    def _clauses(self, *, with_others: bool) -> Iterator[CoverageGap]:
        """Clauses that make no difference. What is said of other tables is no news where these
        themselves make none."""
        invariant, needless = self.rule.invariant, set[str]()
        for mutant in mutants(invariant, self.played[0].example.dialects.get(self.rule.source, "")):
            of_others = mutant.invariant.check != invariant.check and any(invariant.check.tables())
            if (of_others and not with_others) or mutant.part_of in needless:
                continue
            if not self._is_noticed(partial(_as, mutant.invariant)):
                needless.add(mutant.label)
                advice = "without it the same is found: add a row for which it alone decides"
                yield self._doubt(f"no example needs {mutant.label}", advice)

    def _empty(self) -> Iterator[CoverageGap]:
        """Examples that find nothing, have nothing to be judged, and told the rule from no worse
        one."""
        for number, one in enumerate(self.played):
            if not one.run.violations and not _lets_pass(one) and number not in self.telling:
                advice = "give it rows that the rule judges, or take it out"
                yield self._doubt(
                    "this example proves nothing: the rule has nothing to judge in it",
                    advice,
                    one.example.case,
                )

    def _is_noticed(self, change: Callable[[Example], Example]) -> bool:
        """Whether any example gives another answer when it is changed. That it can't be evaluated
        is another, too."""
        noticed = False
        for number, one in enumerate(self.played):
            if self._differs(one, change(one.example)):
                noticed = True
                self.telling.add(number)
        return noticed

    def _differs(self, one: Played, other: Example) -> bool:
        run, _ = self.workshop.look(other, one.verdict.on)
        names = [name for name in one.run.key if name in run.key]
        return _answer(run, names) != _answer(one.run, names)

    def _doubt(self, message: str, advice: str, case: Case | None = None) -> CoverageGap:
        return CoverageGap(self.rule.id, case or self.played[0].example.case, message, advice)


def _answer(run: Run, names: Sequence[str]) -> Answer:
    if not run.answered:
        return None
    return tuple(sorted(repr([key.get(name) for name in names]) for key in _keys(run))), run.rows


def _lets_pass(one: Played) -> bool:
    """Whether something in scope is not condemned. Where that can't be told, it is taken for
    granted."""
    run, check, table = one.run, one.example.invariant.check, one.example.invariant.subject.table
    own = next((sheet for sheet in one.example.sheets if sheet.table == table), None)
    if not check.about_rows:
        return own is not None and any({"column": name} not in _keys(run) for name in own.columns)
    if run.key == ("fault",):
        return not run.violations and run.checked != 0
    if own is None or check.brings_own_key:
        # It isn't told what was looked at: rows that carry none of the keys.
        rows = own.rows if own is not None else _rows(one.example)
        return any(not any(_carries(row, key) for key in _keys(run)) for row in rows)
    # Of what isn't a row of the table, such as a hole, there may be more than rows.
    counts_rows = own.columns.keys() >= set(run.key)
    return (run.checked or 0) > (run.rows if counts_rows else 0)


def _with_less(example: Example) -> Iterator[Example]:
    """The example without any row, and then without each of its first rows."""
    yield example.with_rows({sheet.table: () for sheet in example.sheets})
    for sheet in example.sheets:
        for place in range(min(len(sheet.rows), _TRIED)):
            yield example.with_rows({sheet.table: (*sheet.rows[:place], *sheet.rows[place + 1 :])})


def _rows(example: Example) -> Iterator[Mapping[str, Value]]:
    for sheet in example.sheets:
        yield from sheet.rows


def _keys(run: Run) -> list[Key]:
    return [violation.key for violation in run.tracked]


def _carries(row: Mapping[str, Value], key: Key) -> bool:
    """Whether a row has all values of a key, in columns of the same names."""
    return all(
        name in row and (row[name] == value or str(row[name]) == str(value))
        for name, value in key.items()
    )


def _as(mutant: Invariant, example: Example) -> Example:
    """The example of another rule. What the example itself adds to its rule (the key) stays."""
    subject = replace(mutant.subject, key=example.invariant.subject.key)
    return replace(
        example, invariant=replace(example.invariant, subject=subject, check=mutant.check)
    )


def _emptied(table: TableName) -> Callable[[Example], Example]:
    return lambda example: example.with_rows({table: ()})
