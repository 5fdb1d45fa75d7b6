"""The reference of the commands, in Markdown, from what click knows of them: what `--help` shows,
on one page.

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

Each one answers to `--help`. `sanityd --log json COMMAND` logs as JSON lines on stderr, `--log debug` says more.
What a command exits with is on [a page of its own](exit-codes.md).
"""


def page() -> str:
    """The reference page of all commands."""
    context = click.Context(root, info_name="sanityd")
    listed = "\n".join(f"| [`{name}`](#{name}) | {line} |" for name, (_, line) in COMMANDS.items())
    parts = [f"{_HEAD}\n| command | does |\n|---|---|\n{listed}\n"]
    for name in COMMANDS:
        command = root.get_command(context, name)
        assert command is not None
        parts += _chapter(command, click.Context(command, context, name), 2)
    return "\n".join(parts)


def _chapter(command: click.Command, context: click.Context, level: int) -> Iterator[str]:
    """What a command says of itself, and below it what its own commands do."""
    words = context.command_path.removeprefix("sanityd ")
    usage = command.get_usage(context).removeprefix("Usage: ")
    yield f"{'#' * level} {words}\n\n{inspect.cleandoc(command.help or '')}\n\n```text\n{usage}\n```\n"
    options = [param for param in command.params if isinstance(param, click.Option)]
    if records := [
        record for option in options if (record := option.get_help_record(context)) is not None
    ]:
        rows = "\n".join(f"| `{names}` | {_cell(meaning)} |" for names, meaning in records)
        yield f"| option | means |\n|---|---|\n{rows}\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _chapter(below, click.Context(below, context, name), level + 1)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").strip()


if __name__ == "__main__":
    sys.stdout.write(page())
