"""`sanityd schema`: prints the JSON Schema of the rules file, for editors."""

from pathlib import Path

import click

from sanityd.cli.options import rules_option


@click.command("schema")
@rules_option
def command(path: Path) -> None:
    """Print the JSON Schema of the rules file, with which editors complete, explain and check it.

    `sanityd init` writes it into the folder of the rules file. Write it again after an update:
    sanityd schema > sanityd.schema.json. It contains your own kinds in `checks/` if the rules file
    allows Python.
    """
    from sanityd.authoring.reference import schema

    schema.trust_own_kinds(path)
    click.echo(schema.schema_text(), nl=False)
