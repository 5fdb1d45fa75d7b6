"""`sanityd init`: a first rules.yaml."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sanityd.cli.options import create_file, file_exists_error, rules_option, sample_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sanityd.authoring.suggest.results import Suggestions


@click.command("init")
@click.argument("url", required=False)
@sample_option
@rules_option
def command(url: str | None, whole: int, path: Path) -> None:
    """Write a first rules.yaml; with the URL of a database, with rules that its data keeps, or
    nearly keeps.

    Beside it goes `sanityd.schema.json`, by which editors complete, explain and mark it.

    A file of SQLite or DuckDB may be named as it is: `sanityd init shop.db`. Any other URL is not
    written anywhere: export it as APP_DATABASE_URL. The database is only read.
    """
    from sanityd.authoring import starter
    from sanityd.authoring.reference import schema

    if path.exists():
        raise file_exists_error(path)
    found, text, source = None, starter.example(), f"${{{starter.DATABASE}}}"
    if url is not None:
        url = _meant(url)
        found = _looked_at(url, whole)
        source = starter.source_in(url, path.parent)
        text = starter.proposed(found, source)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not create_file(path, schema.MODELINE + text):
        raise file_exists_error(path)
    needs_url = "${" in source
    beside = {
        schema.FILE: ("{} (for your editor)", schema.text()),
        ".env.example": ("{}", starter.environment(with_database=needs_url)),
    }
    wrote = [str(path)]
    for name, (words, content) in beside.items():
        # What is there is somebody's own.
        if create_file(path.parent / name, content):
            wrote.append(words.format(path.parent / name))
    click.echo(f"Wrote {' and '.join(filter(None, [', '.join(wrote[:-1]), wrote[-1]]))}.")
    click.echo("Next:")
    steps = list(
        _next(found, "" if path == Path("rules.yaml") else f" --rules {path}", needs_url=needs_url)
    )
    width = max(len(step) for step, _ in steps)
    for step, meaning in steps:
        click.echo(f"  {step:{width}}   {meaning}")


def _next(
    found: "Suggestions | None", there: str, *, needs_url: bool
) -> "Iterator[tuple[str, str]]":
    """What to do now, and what for; `there` says to each command where the rules are."""
    if needs_url:
        yield "export APP_DATABASE_URL=…", "the database, with a login that can only SELECT"
    if found is not None and found.broken:
        yield f"sanityd try {found.broken[0].id}{there}", "the rows that break it"
    yield f"sanityd check --dry-run{there}", "look at all rules, without recording or mailing"
    yield (
        f"sanityd check{there}",
        "the same, recorded; mails are files in `mails` until `notify` names the team",
    )
    yield (
        f"sanityd lint --connect{there}",
        "what the database says about the rules, once you have changed them",
    )


def _meant(text: str) -> str:
    """The URL. Raises a usage error for what is none that sanityd could look at, whatever
    answers."""
    from sanityd.authoring import starter
    from sanityd.errors import SourceError
    from sanityd.sources.base import SourceSettings
    from sanityd.sources.open import open_source

    try:
        url = starter.url_of(text)
        open_source(SourceSettings("app", url)).close()
    except SourceError as error:
        raise click.UsageError(f"{error.message}\n  {error.hint}") from None
    return url


def _looked_at(url: str, whole: int) -> "Suggestions":
    from sanityd.authoring.suggest.results import Taken
    from sanityd.cli import proposals, terminal
    from sanityd.errors import SourceError
    from sanityd.sources.base import SourceSettings

    try:
        found, seconds = proposals.look(
            SourceSettings("app", url), proposals.all_tables, whole, Taken()
        )
    except SourceError as error:
        # There is no file yet that `lint` could look at.
        plain = "Check that it answers, and that the URL and the rights are right."
        hint = error.hint if error.has_advice else plain
        raise SourceError(error.message, f"{hint.rstrip('.')}. Nothing was written.") from None
    proposals.tell(terminal.console(), found, seconds)
    return found
