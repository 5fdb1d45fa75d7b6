"""`sanityd export`: writes the rules in the format of other tools."""

from pathlib import Path

import click

from sanityd.cli.options import rules_option


@click.command("export")
@click.argument("form", metavar="odcs", type=click.Choice(["odcs"]))
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write this file, not to stdout.",
)
@rules_option
def command(form: str, output: Path | None, path: Path) -> None:
    """Write the rules as a data contract: the Open Data Contract Standard (ODCS) 3.1.

    Rules that the standard can't express are written as custom rules of the engine `sanityd`.
    Sources, their URLs, channels and rule tests are not written. A file that exists is never
    overwritten.
    """
    from sanityd.authoring.migrate import export
    from sanityd.cli.options import file_exists_error, write_new
    from sanityd.rules.load import read
    from sanityd.rules.yaml import rules_document

    if output is not None and output.exists():
        raise file_exists_error(output)
    document = rules_document.parse(path)
    text = export.contract(read(document, path, need_secrets=False), document.data)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_new(output, text)
    if document.data.get("tests"):
        click.echo(
            "The rule tests (`tests:`) are not in it: a contract has no place for them.", err=True
        )
