"""`sanityd demo`: the story in five scenes, on a database of its own, with the real pipeline and a
real mail server."""

import shutil
import sys
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from email.message import EmailMessage

    from sanityd.demo.catcher import Catcher
    from sanityd.rules.rule import RuleSet
    from sanityd.store.open import Store

#: Marks a folder as one of ours, so that a second demo may make it anew and nothing else is ever
#: deleted.
MARK = ".sanityd-demo"


@click.command("demo")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("sanityd-demo"),
    show_default=True,
    help="Where to put the database, the rules and the mails.",
)
def command(folder: Path) -> None:
    """See what sanityd does, in a minute: breaks data, shows what is seen, and which mails go
    out."""
    from importlib import resources

    from sanityd.cli import terminal
    from sanityd.cli.options import open_store
    from sanityd.demo import story
    from sanityd.demo.catcher import Catcher
    from sanityd.rules.load import load

    _make(folder)
    mails = folder / "mails"
    mails.mkdir()
    rules_text = resources.files("sanityd.demo").joinpath("rules.yaml").read_text(encoding="utf-8")
    path = folder / "rules.yaml"
    path.write_text(rules_text, encoding="utf-8")
    console = terminal.console()
    story.begin(folder / "app.db")
    with Catcher(mails) as catcher:
        rules = load(path, {"DEMO_SMTP_URL": catcher.url})
        store = open_store(rules)
        try:
            for number, scene in enumerate(story.SCENES, 1):
                console.print(f"\n{number}. {scene.heading}", style="bold cyan")
                console.print(scene.happened + "\n")
                story.play(scene, folder / "app.db")
                _check(console, rules, store, catcher)
        finally:
            store.close()
    _ending(console, folder, rules_text)


def _make(folder: Path) -> None:
    if folder.exists():
        if not (folder / MARK).exists():
            raise click.UsageError(
                f"`{folder}` is there already and not from a demo; name another with --folder"
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).touch()


def _check(console: Any, rules: "RuleSet", store: "Store", catcher: "Catcher") -> None:
    """One pass of the real thing, as `sanityd check` makes it, and the mails that came of it."""
    import sys

    from sanityd import clock, pipeline
    from sanityd.cli import reports
    from sanityd.cli.check import exit_code

    at, begun, before = clock.now(), clock.stopwatch(), len(catcher.mails)
    results = [
        result
        for batch in rules.by_source(rules.enabled()).values()
        for result in pipeline.run_batch(rules, batch, store, at)
    ]
    delivered = pipeline.deliver(rules, store, seconds=10)
    report = reports.CheckReport(
        rules,
        tuple(results),
        at,
        clock.stopwatch() - begun,
        delivered,
        0,
        exit_code(results, delivered, 0),
    )
    reports.as_text(report, sys.stdout)
    for mail in catcher.mails[before:]:
        console.print(f"\n  ✉ to {mail['To']}: {mail['Subject']}", style="bold")
        console.print(f"    {_first_sentence(mail)}")


def _first_sentence(mail: "EmailMessage") -> str:
    body = mail.get_body(preferencelist=("plain",))
    text = body.get_content() if body is not None else ""
    return " ".join(takewhile(str.strip, text.splitlines()))


def _ending(console: Any, folder: Path, rules_text: str) -> None:
    console.print("\nThat is what sanityd does", style="bold cyan")
    console.print(
        "Each was found, mailed once, never again while nothing changed, and called solved when it was.\n"
    )
    console.print(f"  the mails, to open in a browser   {folder / 'mails'}/*.html")
    console.print(f"  the same as they were sent        {folder / 'mails'}/*.eml")
    console.print(f"  the application's database        {folder / 'app.db'}")
    console.print("\nThe rule that found the lost mails:\n")
    lines = rules_text.splitlines()
    start = lines.index("  every-person-has-a-welcome-mail:")
    end = next(place for place in range(start, len(lines)) if not lines[place].strip())
    for line in lines[start:end]:
        console.print("  " + line)
    console.print(f"\nTry it yourself: break something in {folder / 'app.db'}, then")
    # Whoever ran `scripts/demo` has installed nothing.
    program = "sanityd" if shutil.which("sanityd") else sys.argv[0]
    console.print(f"  {program} check --dry-run --rules {folder / 'rules.yaml'}")
