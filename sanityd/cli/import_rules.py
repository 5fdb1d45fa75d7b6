"""`sanityd import`: rules from another tool's checks."""

from pathlib import Path

import click

#: Each format: what it is called, and the module that reads it.
FORMATS = {"dbt": "dbt", "soda": "soda", "odcs": "odcs"}


@click.command("import")
@click.argument("form", metavar="[" + "|".join(FORMATS) + "]", type=click.Choice(list(FORMATS)))
@click.argument("files", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--source", metavar="NAME", help="What to call the database (the file's own word, or `app`)."
)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write there, not to the terminal.",
)
def command(form: str, files: tuple[Path, ...], source: str | None, output: Path | None) -> None:
    """Make rules of dbt's tests, Soda's checks or a data contract (ODCS).

    `sanityd import dbt models/schema.yml tests/*.sql` prints a rules file; what can't be imported is listed with its
    line and the reason, on stderr and at the top of the file, and on stderr how many rules notify
    nobody. Of a folder all YAML files are read. A file that is there is never overwritten.

    Exit 0: a rules file was made. 2: a file can't be read, or nothing in it can be imported.
    """
    import importlib

    from rich.progress import TaskID

    from sanityd.authoring.migrate import writing
    from sanityd.authoring.migrate.draft import source_name
    from sanityd.cli import terminal
    from sanityd.cli.options import file_exists_error, write_new

    if source is not None and source_name(source) != source:
        raise click.UsageError(
            f"`{source}` is no name of a source: write for example `{source_name(source)}`"
        )
    reader = importlib.import_module(f"sanityd.authoring.migrate.{FORMATS[form]}")
    if output is not None and output.exists():
        raise file_exists_error(output)
    migration = reader.read(_files(files), source)
    with terminal.progress(len(migration.translations), "Importing") as bar:
        written = writing.write(migration, lambda count: bar.advance(TaskID(0), count))
    for line in writing.summary(written):
        click.echo(line, err=True)
    if not written.imported:
        raise click.UsageError("nothing can be imported; nothing was written")
    if output is None:
        click.echo(written.text, nl=False)
    else:
        write_new(output, written.text)
    for line in writing.todo(written):
        click.echo(line, err=True)


def _files(paths: tuple[Path, ...]) -> list[Path]:
    """The files, and those in the folders; each once. SQL is read where it is named: most of it is
    no test."""
    found = (
        file
        for path in paths
        for file in (sorted(path.rglob("*.y*ml")) if path.is_dir() else [path])
        if file == path or file.suffix in (".yml", ".yaml")
    )
    return list(dict.fromkeys(found))
