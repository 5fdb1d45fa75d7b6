"""`sanityd init`: a first rules.yaml."""

from pathlib import Path

import click

from sanityd.cli.options import rules_option


@click.command("init")
@click.argument("url", required=False)
@rules_option
def command(url: str | None, path: Path) -> None:
    """Write a first rules.yaml; with the URL of a database, with rules that its tables suggest.

    Beside it goes `sanityd.schema.json`, by which editors complete, explain and mark it.

    A file of SQLite or DuckDB may be named as it is: `sanityd init shop.db`. The URL itself is not written anywhere:
    export it as APP_DATABASE_URL.
    """
    from sanityd.authoring import schema, starter

    if path.exists():
        raise click.UsageError(f"`{path}` is there already; nothing was written")
    if url is not None and "://" not in url and Path(url).is_file():
        scheme = "duckdb" if Path(url).suffix in (".duckdb", ".ddb") else "sqlite"
        url = f"{scheme}:///{Path(url).resolve()}"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = starter.example() if url is None else _proposed(url, path)
    # Exclusive: what somebody else wrote meanwhile is not overwritten.
    with path.open("x", encoding="utf-8") as file:
        file.write(schema.MODELINE + text)
    described = path.parent / schema.FILE
    described.write_text(schema.text(), encoding="utf-8")
    click.echo(f"Wrote {path}, and {described} for your editor.")
    click.echo("Next:")
    if url is not None and url.startswith(("sqlite:", "duckdb:")):
        click.echo(f"  export APP_DATABASE_URL={url}")
    else:
        click.echo("  export APP_DATABASE_URL=…      the database, with a login that can only SELECT")
    click.echo("  export SMTP_URL=…              smtp://user:password@host:587")
    click.echo("  sanityd lint --connect         what the database says about the rules")
    click.echo("  sanityd check --dry-run        look, without recording or mailing")


def _proposed(url: str, path: Path) -> str:
    from sanityd.authoring import starter
    from sanityd.sources.base import SourceSettings
    from sanityd.sources.open import open_source

    source = open_source(SourceSettings("app", url))
    try:
        with source.snapshot() as snapshot:
            return starter.proposed(snapshot)
    finally:
        source.close()
