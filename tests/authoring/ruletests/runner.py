"""Rules files with examples, read and played as `sanityd test` does."""

from pathlib import Path

from sanityd.authoring.ruletests.runner import CaseRunner, Engine
from sanityd.authoring.ruletests.suite import Suite, SuiteReport, play, read
from sanityd.errors import RuleError

HEAD = "sources: {app: '${APP_DATABASE_URL}', mail: '${MAIL_DATABASE_URL}'}\n"


def suite(folder: Path, text: str) -> Suite:
    """The examples of a file that says so."""
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
    """What came of them."""
    with CaseRunner(lent, on) as runner:
        return play(suite(folder, text), runner, find_gaps=find_gaps)


def outcomes(
    folder: Path, text: str, *, lent: str | None = None, on: Engine | None = None
) -> list[str]:
    """Each example with what came of it, in a line."""
    return [
        f"{one.case.title} {one.outcome}"
        + "".join(f" -{list(key.values())}" for key in one.match.missing)
        + "".join(f" +{list(key.values())}" for key in one.match.unexpected)
        + "".join(f" {fault}" for fault in one.match.faults)
        for one in played(folder, text, lent=lent, on=on).verdicts
    ]


def doubts(folder: Path, text: str) -> list[str]:
    """What the examples don't show."""
    return [doubt.message for doubt in played(folder, text, find_gaps=True).gaps]


def mistakes(folder: Path, text: str) -> list[str]:
    """What is wrong with the examples, each as `line:column message | advice`."""
    try:
        suite(folder, text)
    except RuleError as error:
        return [
            f"{one.line - 1}:{one.column} {one.message} | {one.advice}" for one in error.problems
        ]
    return []
