"""Plugin of pytest: runs the examples of rules files as tests, and provides the fixture `sanityd`.

The fixture asserts rules against a test database. pytest imports this module in every run where
sanityd is installed, so it imports the rest of sanityd only when it is used: by `--sanityd`, by the
setting `sanityd_rules`, or by a test that takes the fixture.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    # Tests import the type of the fixture from here: `from sanityd.pytest_plugin import Sanityd`.
    from sanityd.authoring.ruletests.assertions import Sanityd
    from sanityd.authoring.ruletests.fixtures import Example
    from sanityd.authoring.ruletests.runner import CaseResult, CaseRunner
    from sanityd.authoring.ruletests.suite import Suite


class SanitydWarning(UserWarning):
    """Warning about something that the examples of a rule don't show."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `--sanityd` and the setting `sanityd_rules`."""
    group = parser.getgroup("sanityd")
    group.addoption(
        "--sanityd",
        action="store_true",
        help="Run the examples (`tests:`) of the rules file, too.",
    )
    parser.addini(
        "sanityd_rules",
        "Rules files (or folders) whose examples are tests.",
        type="paths",
        default=[],
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect rules files, if the option or the setting asks for it."""
    paths: list[Path] = config.getini("sanityd_rules")
    if not paths and config.getoption("sanityd"):
        paths = [config.rootpath / "rules.yaml"]
    if not paths:
        return
    config.pluginmanager.register(_Collection(paths), "sanityd-collecting")
    # A run that names its tests does not run the rules files, unless the option is given.
    if config.getoption("sanityd") or config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args += [str(_rules_file(path)) for path in paths]


@pytest.fixture
def sanityd(pytestconfig: pytest.Config) -> "Sanityd":
    """Fixture to assert rules: `sanityd.check("rules.yaml", app="sqlite:///…").assert_holds()`."""
    from sanityd.authoring.ruletests.assertions import Sanityd

    return Sanityd(pytestconfig.rootpath)


class _Collection:
    """Collection of the examples of all rules files, with the scratch databases that they share."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = {_rules_file(path).resolve(): path for path in paths}
        self._runner: CaseRunner | None = None

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> "RulesFile | None":
        """Collect the rules files that were asked for, and no other files."""
        path = self.paths.get(file_path.resolve())
        if path is None:
            return None
        return RulesFile.from_parent(parent, path=file_path, asked=path, collection=self)

    def pytest_unconfigure(self) -> None:
        """Remove the scratch databases."""
        if self._runner is not None:
            self._runner.__exit__(None, None, None)

    def runner(self, suite: "Suite") -> "CaseRunner":
        """Return the runner of examples; it is made when it is first needed."""
        from sanityd.authoring.ruletests.runner import CaseRunner

        if self._runner is None:
            self._runner = CaseRunner(
                os.environ.get("SANITYD_SCRATCH"), watched=suite.rules.sources
            )
        return self._runner

    def suite(self, path: Path) -> "Suite":
        """Return the examples of a file.

        A file that has examples only is about the first rules file of the setting.
        """
        from sanityd.authoring.ruletests.suite import has_rules, read

        if has_rules(path):
            return read(path)
        for other in self.paths.values():
            if has_rules(other):
                return read(other, path)
        return read(path.with_name("rules.yaml"), path)


class RulesFile(pytest.File):
    """Rules file with examples, as pytest collects it."""

    def __init__(self, *, asked: Path, collection: _Collection, **rest: Any) -> None:
        super().__init__(**rest)
        self.asked = asked
        self.collection = collection

    def collect(self) -> Iterator[pytest.Item]:
        """Yield a test per example, and per rule a test of what its examples don't show."""
        suite = self.collection.suite(self.asked)
        for rule, examples in suite.examples.items():
            for example in examples:
                name = f"{rule}[{example.case.name}]" if example.case.name else rule
                yield RuleTest.from_parent(self, name=name, suite=suite, examples=(example,))
            yield CoverageTest.from_parent(
                self, name=f"{rule}::what-the-examples-show", suite=suite, examples=examples
            )

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *_: Any) -> Any:
        """Show all problems of the rules file, each with its position."""
        from sanityd.errors import RuleError
        from sanityd.rules.diagnostics import format_problems

        if isinstance(excinfo.value, RuleError):
            return format_problems(excinfo.value.problems)
        return super().repr_failure(excinfo)


class _Failed(Exception):
    """Failure of an example: the rule did not find what the example expects."""


class RuleTest(pytest.Item):
    """Test of one example of a rule."""

    parent: RulesFile

    def __init__(self, *, suite: "Suite", examples: "tuple[Example, ...]", **rest: Any) -> None:
        super().__init__(**rest)
        self.suite = suite
        self.examples = examples

    def play(self, example: "Example") -> "CaseResult":
        """Run the rule on the rows of the example, and return what it finds."""
        return self.parent.collection.runner(self.suite).play(example)

    def runtest(self) -> None:
        """Run the example; fails when the rule does not find what is expected."""
        from sanityd.cli.test_reports import difference, expectation

        result = self.play(self.examples[0])
        if not result.passed:
            lines = "\n".join(f"  {line}" for line in difference(result))
            raise _Failed(f"{result.case.title}: {expectation(result)}\n{lines}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *rest: Any) -> Any:
        """Show the difference, without a traceback through sanityd's code."""
        from sanityd.errors import SanitydError

        if isinstance(excinfo.value, _Failed):
            return f"{excinfo.value}\n{self.examples[0].case.location}"
        if isinstance(excinfo.value, SanitydWarning):
            return str(excinfo.value)
        if isinstance(excinfo.value, SanitydError):
            return f"{excinfo.value.message}\n{excinfo.value.hint}"
        return super().repr_failure(excinfo, *rest)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return file, line and title of the example."""
        case = self.examples[0].case
        return Path(case.file), case.line - 1, case.title


class CoverageTest(RuleTest):
    """Test of what the examples of one rule don't show. It only warns.

    `-W error::sanityd.pytest_plugin.SanitydWarning` turns the warnings into failures.
    """

    def runtest(self) -> None:
        """Run the examples again, with rows removed and clauses of the rule left out."""
        from sanityd.authoring.ruletests.coverage_gaps import ExampleResult, coverage_gaps

        played = [ExampleResult(example, self.play(example)) for example in self.examples]
        if not all(example.verdict.passed for example in played):
            return
        rule = self.suite.rules.rules[self.examples[0].case.rule]
        for gap in coverage_gaps(rule, played, self.parent.collection.runner(self.suite)):
            self.warn(
                SanitydWarning(f"{gap.rule}: {gap.message}; {gap.advice} ({gap.case.location})")
            )


def _rules_file(path: Path) -> Path:
    """Return the file for pytest to collect: of a folder, the first YAML file."""
    if not path.is_dir():
        return path
    for file in sorted(path.iterdir()):
        if file.suffix in (".yaml", ".yml"):
            return file
    return path
