"""`sanityd kinds`: lists the kinds of checks and channels; shows the manual of each, which is its
docstring."""

from typing import Any

import click

from sanityd.cli.options import no_such

#: Each group of kinds with the headers of its list.
_GROUPS = (("checks", ("kind", "checks that")), ("channels", ("channel", "notifies by")))


@click.command("kinds")
@click.argument("kind", required=False)
def command(kind: str | None) -> None:
    """List the kinds of checks and channels, or show the manual of one."""
    from sanityd import plugins
    from sanityd.cli import terminal

    console = terminal.console()
    if kind is None:
        _print_list(console)
    elif kind in plugins.kind_names("checks"):
        _print_manual(console, kind, "checks", kind)
    elif kind in plugins.kind_names("channels"):
        _print_manual(console, kind, "channels", f"{kind} (a channel)")
    else:
        names = [*plugins.kind_names("checks"), *plugins.kind_names("channels")]
        raise no_such(f"there is no check or channel `{kind}`", kind, names)


def _print_list(console: Any) -> None:
    from sanityd import plugins
    from sanityd.authoring.reference import manual
    from sanityd.cli import terminal

    for group, headers in _GROUPS:
        grid = terminal.table(*headers)
        for name in plugins.kind_names(group):
            grid.add_row(name, manual.summary(name, group))
        console.print(grid)
        console.print()
    console.print("sanityd kinds KIND shows its options and examples.")


def _print_manual(console: Any, kind: str, group: str, title: str) -> None:
    from sanityd.authoring.reference import manual
    from sanityd.cli import terminal

    console.print(f"{title}\n\n{manual.text(kind, group)}\n\nOptions\n")
    grid = terminal.table("option", "default", "meaning")
    for option in manual.options(kind, group):
        grid.add_row(option.name, option.default, option.meaning)
    console.print(terminal.indented(grid))
