"""`sanityd import`: converts the checks of another tool to rules."""

from pathlib import Path

import click

#: Each format with the module that reads it.
FORMATS = {"dbt": "dbt", "soda": "soda", "odcs": "odcs"}


@click.command("import")
@click.argument("form", metavar="[" + "|".join(FORMATS) + "]", type=click.Choice(list(FORMATS)))
@click.argument("files", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--source", metavar="NAME", help="Name of the source (default: the name in the file, or `app`)."
)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write this file, not to stdout.",
)
def command(form: str, files: tuple[Path, ...], source: str | None, output: Path | None) -> None:
    """Convert dbt tests, Soda checks or a data contract (ODCS) to rules.

    `sanityd import dbt models/schema.yml tests/*.sql` prints a rules file. What can't be imported
    is listed with its line and the reason, on stderr and at the top of the file. Stderr also says
    how many rules notify nobody. All YAML files of a folder are read. A file that exists is never
    overwritten.

    Exit 0: a rules file was written. 2: a file can't be read, or nothing in it can be imported.
    """
    import importlib

    from rich.progress import TaskID

    from sanityd.authoring.migrate import rules_file
    from sanityd.authoring.migrate.import_result import source_name
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
        written = rules_file.write(migration, lambda count: bar.advance(TaskID(0), count))
    for line in rules_file.summary(written):
        click.echo(line, err=True)
    if not written.imported:
        raise click.UsageError("nothing can be imported; nothing was written")
    if output is None:
        click.echo(written.text, nl=False)
    else:
        write_new(output, written.text)
    for line in rules_file.remaining_steps(written):
        click.echo(line, err=True)


def _files(paths: tuple[Path, ...]) -> list[Path]:
    """Return the files, and the YAML files in the folders, each once. SQL files in folders are left
    out, because most of them are no tests."""
    files: dict[Path, None] = {}
    for path in paths:
        if not path.is_dir():
            files[path] = None
            continue
        for file in sorted(path.rglob("*.y*ml")):
            if file.suffix in (".yml", ".yaml"):
                files[file] = None
    return list(files)
