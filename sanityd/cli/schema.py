"""`sanityd schema`: the JSON Schema of the rules file, for editors."""

from pathlib import Path

import click

from sanityd.cli.options import rules_option


@click.command("schema")
@rules_option
def command(path: Path) -> None:
    """Print the JSON Schema of the rules file, by which editors complete, explain and mark it.

    `sanityd init` writes it beside the rules file; write it anew after an update: sanityd schema > sanityd.schema.json.
    Kinds of your own in `checks/` are in it where the rules file allows Python.
    """
    from sanityd.authoring.reference import schema

    schema.trust(path)
    click.echo(schema.text(), nl=False)
