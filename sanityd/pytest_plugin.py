"""pytest's plugin: rule tests as pytest's own, and a fixture `sanityd` that asserts rules against a test database.

pytest imports it in every run of everybody who has sanityd installed, so it imports nothing until it is asked for: by
`--sanityd`, by the setting `sanityd_rules`, or by a test that takes the fixture.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    # By that name, so that tests can say what their fixture is: `from sanityd.pytest_plugin import Sanityd`.
    from sanityd.authoring.ruletests.assertions import Sanityd
    from sanityd.authoring.ruletests.fixtures import Example
    from sanityd.authoring.ruletests.runner import CaseResult, CaseRunner
    from sanityd.authoring.ruletests.suite import Suite


class SanitydWarning(UserWarning):
    """Something that the examples of a rule don't show."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--sanityd`, and the setting `sanityd_rules`."""
    group = parser.getgroup("sanityd")
    group.addoption(
        "--sanityd",
        action="store_true",
        help="Play the examples (`tests:`) of the rules file, too.",
    )
    parser.addini(
        "sanityd_rules",
        "Rules files (or folders) whose examples are tests.",
        type="paths",
        default=[],
    )


def pytest_configure(config: pytest.Config) -> None:
    """Take part only when asked for."""
    paths: list[Path] = config.getini("sanityd_rules")
    if not paths and config.getoption("sanityd"):
        paths = [config.rootpath / "rules.yaml"]
    if not paths:
        return
    config.pluginmanager.register(_Collecting(paths), "sanityd-collecting")
    # A run of some tests by name is about these.
    if config.getoption("sanityd") or config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args += [str(_anchor(path)) for path in paths]


@pytest.fixture
def sanityd(pytestconfig: pytest.Config) -> "Sanityd":
    """Asserts rules: `sanityd.check("rules.yaml", app="sqlite:///test.db").assert_holds()`."""
    from sanityd.authoring.ruletests.assertions import Sanityd

    return Sanityd(pytestconfig.rootpath)


class _Collecting:
    """Collects the examples of rules files, and keeps the scratch databases for all of them."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = {_anchor(path).resolve(): path for path in paths}
        self._workshop: CaseRunner | None = None

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> "RulesFile | None":
        """The rules files, and no others."""
        path = self.paths.get(file_path.resolve())
        return (
            None
            if path is None
            else RulesFile.from_parent(parent, path=file_path, asked=path, collecting=self)
        )

    def pytest_unconfigure(self) -> None:
        """Remove the scratch databases."""
        if self._workshop is not None:
            self._workshop.__exit__(None, None, None)

    def workshop(self, suite: "Suite") -> "CaseRunner":
        """Where examples are played."""
        from sanityd.authoring.ruletests.runner import CaseRunner

        if self._workshop is None:
            self._workshop = CaseRunner(
                os.environ.get("SANITYD_SCRATCH"), watched=suite.rules.sources
            )
        return self._workshop

    def suite(self, path: Path) -> "Suite":
        """The examples of a rules file; those of a file of tests are about the first rules file that is set."""
        from sanityd.authoring.ruletests.suite import has_rules, read

        if has_rules(path):
            return read(path)
        others = (other for other in self.paths.values() if has_rules(other))
        return read(next(others, path.with_name("rules.yaml")), path)


class RulesFile(pytest.File):
    """A rules file with examples."""

    def __init__(self, *, asked: Path, collecting: _Collecting, **rest: Any) -> None:
        super().__init__(**rest)
        self.asked = asked
        self.collecting = collecting

    def collect(self) -> Iterator[pytest.Item]:
        """Each example; and for each rule, what these don't show."""
        suite = self.collecting.suite(self.asked)
        for rule, examples in suite.examples.items():
            for example in examples:
                name = f"{rule}[{example.case.name}]" if example.case.name else rule
                yield RuleTest.from_parent(self, name=name, suite=suite, examples=(example,))
            yield Doubts.from_parent(
                self, name=f"{rule}::what-the-examples-show", suite=suite, examples=examples
            )

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *_: Any) -> Any:
        """Every mistake, at its place."""
        from sanityd.errors import RuleError
        from sanityd.rules.diagnostics import format_problems

        if isinstance(excinfo.value, RuleError):
            return format_problems(excinfo.value.problems)
        return super().repr_failure(excinfo)


class _Failed(Exception):
    """An example in which the rule did not find what it had to. Its text says so."""


class RuleTest(pytest.Item):
    """One example of a rule."""

    parent: RulesFile

    def __init__(self, *, suite: "Suite", examples: "tuple[Example, ...]", **rest: Any) -> None:
        super().__init__(**rest)
        self.suite = suite
        self.examples = examples

    def play(self, example: "Example") -> "CaseResult":
        """What the rule finds."""
        return self.parent.collecting.workshop(self.suite).play(example)

    def runtest(self) -> None:
        """Play it."""
        from sanityd.cli.test_reports import difference, expectation

        verdict = self.play(self.examples[0])
        if not verdict.passed:
            told = "\n".join(f"  {line}" for line in difference(verdict))
            raise _Failed(f"{verdict.case.title}: {expectation(verdict)}\n{told}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *rest: Any) -> Any:
        """The difference, without a traceback that would be sanityd's own."""
        from sanityd.errors import SanitydError

        if isinstance(excinfo.value, _Failed):
            return f"{excinfo.value}\n{self.examples[0].case.location}"
        if isinstance(excinfo.value, SanitydWarning):
            return str(excinfo.value)
        if isinstance(excinfo.value, SanitydError):
            return f"{excinfo.value.message}\n{excinfo.value.hint}"
        return super().repr_failure(excinfo, *rest)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it stands in the rules file."""
        case = self.examples[0].case
        return Path(case.file), case.line - 1, case.title


class Doubts(RuleTest):
    """What the examples of one rule don't show, as warnings: `-W error::sanityd.pytest_plugin.SanitydWarning` fails."""

    def runtest(self) -> None:
        """Play them all again, with rows taken away and clauses left out."""
        from sanityd.authoring.ruletests.coverage_gaps import Played, coverage_gaps

        played = [Played(example, self.play(example)) for example in self.examples]
        if all(one.verdict.passed for one in played):
            rule = self.suite.rules.rules[self.examples[0].case.rule]
            for doubt in coverage_gaps(rule, played, self.parent.collecting.workshop(self.suite)):
                self.warn(
                    SanitydWarning(
                        f"{doubt.rule}: {doubt.message}; {doubt.advice} ({doubt.case.location})"
                    )
                )


def _anchor(path: Path) -> Path:
    """The file that pytest is to meet: of a folder the first."""
    if not path.is_dir():
        return path
    return next((file for file in sorted(path.iterdir()) if file.suffix in (".yaml", ".yml")), path)
