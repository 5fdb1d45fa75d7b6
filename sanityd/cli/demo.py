"""`sanityd demo`: shows a story in five scenes, on an example database, with the real pipeline and
a local mail server."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from email.message import EmailMessage

    from sanityd.authoring.demo.catcher import Catcher
    from sanityd.rules.rule import RuleSet
    from sanityd.store.open import Store

#: Marks a folder that a demo made. No other folder is ever deleted.
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
    """Show what sanityd does, in a minute: break data of an example, show what is found and which
    mails are sent."""
    from importlib import resources

    from sanityd.authoring.demo import story
    from sanityd.authoring.demo.catcher import Catcher
    from sanityd.cli import terminal
    from sanityd.cli.options import open_store
    from sanityd.rules.load import load

    _create_folder(folder)
    mails = folder / "mails"
    mails.mkdir()
    rules_text = (
        resources.files("sanityd.authoring.demo").joinpath("rules.yaml").read_text(encoding="utf-8")
    )
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
    _print_ending(console, folder, rules_text)


def _create_folder(folder: Path) -> None:
    """Create the folder; delete it first if it is from a demo. Raises a usage error for any other
    folder that exists."""
    if folder.exists():
        if not (folder / MARK).exists():
            raise click.UsageError(
                f"`{folder}` exists and is not from a demo; name another with --folder"
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).touch()


def _check(console: Any, rules: "RuleSet", store: "Store", catcher: "Catcher") -> None:
    """Run one pass as `sanityd check` does, and print its report and its mails."""
    from sanityd import clock, pipeline
    from sanityd.api.one_pass import exit_code
    from sanityd.cli import check_text
    from sanityd.cli.reports import CheckReport

    at, started = clock.now(), clock.stopwatch()
    mails_before = len(catcher.mails)
    results: list[pipeline.Result] = []
    for batch in rules.by_source(rules.enabled()).values():
        results += pipeline.run_batch(rules, batch, store, at)
    delivered = pipeline.deliver(rules, store, seconds=10)
    code = exit_code(results, delivered, 0)
    seconds = clock.stopwatch() - started
    report = CheckReport(rules, tuple(results), at, seconds, delivered, 0, code)
    check_text.write(report, sys.stdout)
    for mail in catcher.mails[mails_before:]:
        console.print(f"\n  ✉ to {mail['To']}: {mail['Subject']}", style="bold")
        console.print(f"    {_first_paragraph(mail)}")


def _first_paragraph(mail: "EmailMessage") -> str:
    body = mail.get_body(preferencelist=("plain",))
    if body is None:
        return ""
    lines = []
    for line in body.get_content().splitlines():
        if not line.strip():
            break
        lines.append(line)
    return " ".join(lines)


def _print_ending(console: Any, folder: Path, rules_text: str) -> None:
    console.print("\nThat is what sanityd does", style="bold cyan")
    console.print("Every problem was found, mailed once, and reported as resolved when it was.\n")
    console.print(f"  the mails, to open in a browser   {folder / 'mails'}/*.html")
    console.print(f"  the same as they were sent        {folder / 'mails'}/*.eml")
    console.print(f"  the application's database        {folder / 'app.db'}")
    console.print("\nThe rule that found the lost mails:\n")
    lines = rules_text.splitlines()
    start = lines.index("  every-person-has-a-welcome-mail:")
    for line in lines[start:]:
        if not line.strip():
            break
        console.print("  " + line)
    console.print(f"\nTry it yourself: break something in {folder / 'app.db'}, then")
    # `scripts/demo` runs without an installed `sanityd`.
    program = "sanityd" if shutil.which("sanityd") else f"{sys.executable} -m sanityd"
    console.print(f"  {program} check --dry-run --rules {folder / 'rules.yaml'}")
