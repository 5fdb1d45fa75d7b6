"""`sanityd kinds`: the check kinds, and the manual of each from its docstring."""

import click

from sanityd.cli.options import no_such


@click.command("kinds")
@click.argument("kind", required=False)
def command(kind: str | None) -> None:
    """List the check kinds, or show the manual of one."""
    from sanityd import plugins
    from sanityd.authoring import manual
    from sanityd.cli import screen

    known = plugins.names("checks")
    if kind is not None and kind not in known:
        raise no_such(f"there is no check kind `{kind}`", kind, known)
    console = screen.console()
    if kind is None:
        grid = screen.table("kind", "says")
        for name in known:
            grid.add_row(name, manual.summary(name))
        console.print(grid)
        console.print("\nsanityd kinds KIND shows its options and examples.")
        return
    console.print(f"{kind}\n\n{manual.text(kind)}\n\nOptions\n")
    options = screen.table("option", "default", "meaning")
    for option in manual.options(kind):
        options.add_row(option.name, option.default, option.meaning)
    console.print(screen.indented(options))
