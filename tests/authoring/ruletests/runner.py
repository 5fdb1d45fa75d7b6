"""Read and run rules files with examples, as `sanityd test` does."""

from pathlib import Path

from sanityd.authoring.ruletests.runner import CaseRunner, Engine
from sanityd.authoring.ruletests.suite import Suite, SuiteReport, read, run_suite
from sanityd.errors import RuleError

HEAD = "sources: {app: '${APP_DATABASE_URL}', mail: '${MAIL_DATABASE_URL}'}\n"


def suite(folder: Path, text: str) -> Suite:
    """Return the examples of a file with this text."""
    path = folder / "rules.yaml"
    path.write_text(HEAD + text, encoding="utf-8")
    return read(path)


def played(
    folder: Path,
    text: str,
    *,
    lent: str | None = None,
    on: Engine | None = None,
    find_gaps: bool = False,
) -> SuiteReport:
    """Run the examples and return the report."""
    with CaseRunner(lent, on) as runner:
        return run_suite(suite(folder, text), runner, find_gaps=find_gaps)


def outcomes(
    folder: Path, text: str, *, lent: str | None = None, on: Engine | None = None
) -> list[str]:
    """Return each example with its result, in result line."""
    return [
        f"{result.case.title} {result.outcome}"
        + "".join(f" -{list(key.values())}" for key in result.match.missing)
        + "".join(f" +{list(key.values())}" for key in result.match.unexpected)
        + "".join(f" {fault}" for fault in result.match.faults)
        for result in played(folder, text, lent=lent, on=on).verdicts
    ]


def gap_messages(folder: Path, text: str) -> list[str]:
    """Return the messages of the coverage gaps."""
    return [gap.message for gap in played(folder, text, find_gaps=True).gaps]


def mistakes(folder: Path, text: str) -> list[str]:
    """Return the mistakes in the examples, each as `line:column message | advice`."""
    try:
        suite(folder, text)
    except RuleError as error:
        return [
            f"{problem.line - 1}:{problem.column} {problem.message} | {problem.advice}"
            for problem in error.problems
        ]
    return []
