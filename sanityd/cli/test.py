"""`sanityd test`: runs the examples of the rules. Needs no database of the user's, and no
environment variable."""

import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sanityd.cli.options import rules_option

if TYPE_CHECKING:
    from sanityd.authoring.ruletests.suite import Suite


@click.command("test")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "-k",
    "--only",
    multiple=True,
    metavar="RULE",
    help="Only of rules so named; `*` stands for any letters.",
)
@click.option("--strict", is_flag=True, help="Fail also for what the examples don't show.")
@click.option(
    "--scratch",
    metavar="URL",
    envvar="SANITYD_SCRATCH",
    help="An empty PostgreSQL or MariaDB database for examples of such rules (SANITYD_SCRATCH).",
)
@click.option(
    "--on",
    type=click.Choice(["sqlite", "duckdb"]),
    help="The database for the examples of all other rules.",
)
@click.option(
    "--connect", is_flag=True, help="Ask the databases for types, columns and keys; no row is read."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "junit"]),
    default="text",
    show_default=True,
)
@rules_option
@click.pass_context
def command(
    ctx: click.Context,
    file: Path | None,
    only: tuple[str, ...],
    strict: bool,
    scratch: str | None,
    on: str | None,
    connect: bool,
    form: str,
    path: Path,
) -> None:
    """Run the examples (`tests:`) of a rules file; of FILE, where they have a file of their own.

    An example is a few rows, the current time, and the violations that the rule must find. After
    that, sanityd leaves out rows and parts of each rule. If no example fails without a part, the
    report names it: no test shows that the rule needs it.

    Exit 0: all examples pass. 1: one fails. 2: a file is wrong. 3: a database did
    not answer.
    """
    from sanityd import clock, telemetry
    from sanityd.authoring.ruletests.runner import CaseRunner
    from sanityd.authoring.ruletests.suite import read, run_suite
    from sanityd.cli.test_reports import FORMS, Tested

    telemetry.start(ctx.obj["log"])
    started = clock.stopwatch()
    rules, tests = _files(ctx, path, file)
    suite = read(rules, tests, connect=connect)
    suite = _picked(suite, only) if only else suite
    # click has checked `on`.
    with CaseRunner(scratch, on, suite.rules.sources) as runner:  # type: ignore[arg-type]
        report = run_suite(suite, runner)
    tested = Tested(suite, report, strict, clock.stopwatch() - started)
    FORMS[form](tested, sys.stdout)
    ctx.exit(tested.code)


def _files(ctx: click.Context, path: Path, file: Path | None) -> tuple[Path, Path | None]:
    """The rules file, and the file with the tests where that is another."""
    from sanityd.authoring.ruletests.suite import has_rules

    if file is None or file.resolve() == path.resolve():
        return path, None
    if has_rules(file):
        return file, None
    if ctx.get_parameter_source("path") is click.core.ParameterSource.DEFAULT and not path.exists():
        return file.with_name(path.name), file
    return path, file


def _picked(suite: "Suite", only: tuple[str, ...]) -> "Suite":
    from sanityd.cli.options import no_such

    for word in only:
        if not any(_fits(name, word) for name in suite.examples):
            raise no_such(f"no rule with examples is called `{word}`", word, suite.examples)
    return suite.only(lambda case: any(_fits(case.rule, word) for word in only))


def _fits(name: str, word: str) -> bool:
    # The brackets of `rule[value]` are no pattern.
    return name == word or fnmatchcase(name, word.replace("[", "[[]"))
