"""`sanityd init`: writes a first rules.yaml."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sanityd.cli.options import create_file, file_exists_error, rules_option, sample_option

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sanityd.authoring.suggest.results import Suggestions


@click.command("init")
@click.argument("url", required=False)
@sample_option
@rules_option
def command(url: str | None, whole: int, path: Path) -> None:
    """Write a first rules.yaml. With the URL of a database, it has rules that hold, or
    nearly hold, for the data.

    Also writes `sanityd.schema.json`, with which editors complete, explain and check the file.

    A file of SQLite or DuckDB may be named as it is: `sanityd init shop.db`. Any other URL is not
    written anywhere: export it as APP_DATABASE_URL. The database is only read.
    """
    from sanityd.authoring import starter
    from sanityd.authoring.reference import schema

    if path.exists():
        raise file_exists_error(path)
    suggestions, text, source = None, starter.example_file(), f"${{{starter.DATABASE}}}"
    if url is not None:
        url = _checked_url(url)
        suggestions = _suggestions(url, whole)
        source = starter.source_setting(url, path.parent)
        text = starter.proposals_file(suggestions, source)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not create_file(path, schema.MODELINE + text):
        raise file_exists_error(path)
    needs_url = "${" in source
    written = [str(path)]
    # Files that exist already are kept.
    schema_path = path.parent / schema.FILE
    if create_file(schema_path, schema.schema_text()):
        written.append(f"{schema_path} (for your editor)")
    environment_path = path.parent / ".env.example"
    if create_file(environment_path, starter.environment_file(with_database=needs_url)):
        written.append(str(environment_path))
    click.echo(f"Wrote {_and(written)}.")
    rules_argument = "" if path == Path("rules.yaml") else f" --rules {path}"
    _print_steps(list(_next_steps(suggestions, rules_argument, needs_url=needs_url)))


def _and(names: "Sequence[str]") -> str:
    """Return `a`, `a and b`, or `a, b and c`."""
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _print_steps(steps: "Sequence[tuple[str, str]]") -> None:
    click.echo("Next:")
    width = max(len(step) for step, _ in steps)
    for step, meaning in steps:
        click.echo(f"  {step:{width}}   {meaning}")


def _next_steps(
    suggestions: "Suggestions | None", rules_argument: str, *, needs_url: bool
) -> "Iterator[tuple[str, str]]":
    """Return the commands to run next, each with its purpose.

    Parameters: `rules_argument` is added to each command; empty for the default rules file.
    """
    if needs_url:
        yield "export APP_DATABASE_URL=…", "the database, with a login that can only SELECT"
    if suggestions is not None and suggestions.broken:
        yield f"sanityd try {suggestions.broken[0].id}{rules_argument}", "its violating rows"
    yield (
        f"sanityd check --dry-run{rules_argument}",
        "check all rules, without recording or mailing",
    )
    yield (
        f"sanityd check{rules_argument}",
        "the same, recorded; mails are files in `mails` until `notify` names the team",
    )
    yield (
        f"sanityd lint --connect{rules_argument}",
        "check the rules against the database, after you have changed them",
    )


def _checked_url(text: str) -> str:
    """Return the URL. Raises a usage error if sanityd can't read such a database."""
    from sanityd.authoring import starter
    from sanityd.errors import SourceError
    from sanityd.sources.base import SourceSettings
    from sanityd.sources.open import open_source

    try:
        url = starter.database_url(text)
        open_source(SourceSettings("app", url)).close()
    except SourceError as error:
        raise click.UsageError(f"{error.message}\n  {error.hint}") from None
    return url


def _suggestions(url: str, whole: int) -> "Suggestions":
    """Read the database, print what was found, and return the proposals."""
    from sanityd.authoring.suggest.results import ExistingRules
    from sanityd.cli import proposals, terminal
    from sanityd.errors import SourceError
    from sanityd.sources.base import SourceSettings

    settings = SourceSettings("app", url)
    try:
        suggestions, seconds = proposals.read_tables(
            settings, proposals.all_tables, whole, ExistingRules()
        )
    except SourceError as error:
        # The default hint names `lint`, which needs a rules file.
        hint = "Check that it answers, and that the URL and the rights are right."
        if error.has_own_hint:
            hint = error.hint
        raise SourceError(error.message, f"{hint.rstrip('.')}. Nothing was written.") from None
    proposals.show(terminal.console(), suggestions, seconds)
    return suggestions
