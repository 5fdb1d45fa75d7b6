"""`sanityd kinds`: the kinds of checks and channels, and the manual of each from its docstring."""

import click

from sanityd.cli.options import no_such


@click.command("kinds")
@click.argument("kind", required=False)
def command(kind: str | None) -> None:
    """List the kinds of checks and channels, or show the manual of one."""
    from sanityd import plugins
    from sanityd.authoring.reference import manual
    from sanityd.cli import terminal

    rooms = {"checks": plugins.names("checks"), "channels": plugins.names("channels")}
    console = terminal.console()
    if kind is None:
        for room, heads in (("checks", ("kind", "says")), ("channels", ("channel", "tells"))):
            grid = terminal.table(*heads)
            for name in rooms[room]:
                grid.add_row(name, manual.summary(name, room))
            console.print(grid)
            console.print()
        console.print("sanityd kinds KIND shows its options and examples.")
        return
    found = next((room for room, known in rooms.items() if kind in known), None)
    if found is None:
        raise no_such(
            f"there is no check or channel `{kind}`",
            kind,
            [name for known in rooms.values() for name in known],
        )
    title = kind if found == "checks" else f"{kind} (a channel)"
    console.print(f"{title}\n\n{manual.text(kind, found)}\n\nOptions\n")
    options = terminal.table("option", "default", "meaning")
    for option in manual.options(kind, found):
        options.add_row(option.name, option.default, option.meaning)
    console.print(terminal.indented(options))
