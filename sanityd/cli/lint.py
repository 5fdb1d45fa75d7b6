"""`sanityd lint`: shows every mistake in the rules file, with its line."""

import sys
from pathlib import Path

import click

from sanityd.cli import EXIT_RULES
from sanityd.cli.options import rules_option


@click.command("lint")
@click.option(
    "--connect",
    is_flag=True,
    help="Also check tables, columns, keys, SQL and rights in the databases.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="For people, for programs, or as annotations of GitHub Actions.",
)
@rules_option
@click.pass_context
def command(ctx: click.Context, connect: bool, form: str, path: Path) -> None:
    """Show every mistake in the rules file, at once. Nothing is run.

    Exit 0: no mistake. 2: mistakes. Without `--connect` an environment variable that is not set is
    only a warning.
    """
    from sanityd.authoring.lint import lint
    from sanityd.cli.terminal import plural
    from sanityd.rules.diagnostics import as_github, as_json, format_problems, in_colour

    findings = lint.lint(path, connect=connect)
    if form == "json":
        click.echo(as_json(findings.problems))
    elif form == "github" and findings.problems:
        click.echo(as_github(findings.problems))
    elif findings.problems:
        click.echo(format_problems(findings.problems, colour=in_colour(sys.stderr)), err=True)
    if findings.has_errors:
        ctx.exit(EXIT_RULES)
    if form != "json" and findings.rules is not None:
        count, sources = len(findings.rules.rules), len(findings.rules.sources)
        checked = ""
        if connect:
            checked = f", checked in {sources} {plural(sources, 'database')}"
        click.echo(f"{path}: {count} {plural(count, 'rule')}, no mistakes{checked}.")
