"""`sanityd lint`: every mistake in the rules file, at its place, at once."""

import sys
from pathlib import Path

import click

from sanityd.cli import EXIT_RULES
from sanityd.cli.options import rules_option


@click.command("lint")
@click.option("--connect", is_flag=True, help="Also ask the databases: tables, columns, keys, SQL and rights.")
@rules_option
@click.pass_context
def command(ctx: click.Context, connect: bool, path: Path) -> None:
    """Show every mistake in the rules file, at once. Nothing is run.

    Exit 0: no mistake. 2: mistakes. Without `--connect` an environment variable that is not set is only a warning.
    """
    from sanityd.alerts.proofs import check_templates
    from sanityd.authoring import linting
    from sanityd.authoring.proving import suite
    from sanityd.problems import format_problems
    from sanityd.rules.load import load

    rules = load(path, need_secrets=connect)
    found = [*rules.warnings, *check_templates(rules.folder / "alerts"), *(linting.connected(rules) if connect else ())]
    found += suite.problems(rules)
    if found:
        click.echo(format_problems(found, colour=sys.stderr.isatty()), err=True)
    if any(problem.level == "error" for problem in found):
        ctx.exit(EXIT_RULES)
    count, sources = len(rules.rules), len(rules.sources)
    seen = f", as {sources} database{'s' * (sources != 1)} see{'s' * (sources == 1)} them" if connect else ""
    click.echo(f"{path}: {count} rule{'s' * (count != 1)}, no mistakes{seen}.")
