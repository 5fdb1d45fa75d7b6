"""`sanityd kinds`: the check kinds, and the manual of each from its docstring."""

import inspect

import click


@click.command("kinds")
@click.argument("kind", required=False)
def command(kind: str | None) -> None:
    """List the check kinds, or show the manual of one."""
    from sanityd import plugins
    from sanityd.cli import screen
    from sanityd.problems import suggest

    known = plugins.names("checks")
    if kind is not None and kind not in known:
        advice = suggest(kind, known)
        raise click.UsageError(f"there is no check kind `{kind}`{'; ' + advice if advice else ''}")
    console = screen.console()
    if kind is None:
        grid = screen.table("kind", "says")
        for name in known:
            grid.add_row(name, _manual(plugins.lookup("checks", name)).partition("\n\n")[0].replace("\n", " "))
        console.print(grid)
        console.print("\nsanityd kinds KIND shows its options and examples.")
        return
    model = plugins.lookup("checks", kind)
    console.print(f"{kind}\n\n{_manual(model)}\n\nOptions\n")
    options = screen.table("option", "default", "meaning")
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else str(field.default)
        options.add_row(field.alias or name, default, field.description or "")
    console.print(screen.indented(options))


def _manual(model: type) -> str:
    return inspect.getdoc(model) or ""
