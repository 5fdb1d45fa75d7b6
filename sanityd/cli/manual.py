"""Writes the reference of the commands in Markdown, from the texts of `--help`.

`python -m sanityd.cli.manual` prints the page `docs/reference/commands.md`.
"""

import inspect
import sys
from collections.abc import Iterator

import click

from sanityd.cli import COMMANDS, root

_HEAD = """\
# The commands

<!-- Written by `scripts/docs` from the commands themselves. -->

Every command has `--help`. `sanityd --log json COMMAND` logs JSON lines on stderr; `--log debug`
logs more. There is a page about the [exit codes](exit-codes.md).
"""


def page() -> str:
    """Return the page with all commands."""
    context = click.Context(root, info_name="sanityd")
    listed = "\n".join(f"| [`{name}`](#{name}) | {line} |" for name, (_, line) in COMMANDS.items())
    parts = [f"{_HEAD}\n| command | does |\n|---|---|\n{listed}\n"]
    for name in COMMANDS:
        command = root.get_command(context, name)
        assert command is not None
        parts += _chapter(command, click.Context(command, context, name), 2)
    return "\n".join(parts)


def _chapter(command: click.Command, context: click.Context, level: int) -> Iterator[str]:
    """Return the parts of the chapter about a command: its help, options and subcommands.

    Parameters: `level` is that of its heading.
    """
    title = context.command_path.removeprefix("sanityd ")
    help_text = inspect.cleandoc(command.help or "")
    usage = command.get_usage(context).removeprefix("Usage: ")
    yield f"{'#' * level} {title}\n\n{help_text}\n\n```text\n{usage}\n```\n"
    rows = list(_option_rows(command, context))
    if rows:
        yield "| option | means |\n|---|---|\n" + "\n".join(rows) + "\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            subcommand = command.get_command(context, name)
            assert subcommand is not None
            yield from _chapter(subcommand, click.Context(subcommand, context, name), level + 1)


def _option_rows(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.params:
        if not isinstance(parameter, click.Option):
            continue
        record = parameter.get_help_record(context)
        if record is not None:
            names, meaning = record
            yield f"| `{names}` | {_cell(meaning)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").strip()


if __name__ == "__main__":
    sys.stdout.write(page())
