"""Options that several commands share, and how they find the rules and the store."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sanityd.rules.rule import RuleSet
    from sanityd.store.open import Store

rules_option: Callable[[Any], Any] = click.option(
    "--rules",
    "path",
    type=click.Path(path_type=Path),
    envvar="SANITYD_RULES",
    default=Path("rules.yaml"),
    show_default=True,
    help="The rules file, or a folder of them (SANITYD_RULES).",
)


sample_option: Callable[[Any], Any] = click.option(
    "--sample",
    "whole",
    type=click.IntRange(min=100),
    default=2_000_000,
    show_default=True,
    metavar="ROWS",
    help="Read tables with more rows than this as a sample.",
)


def open_store(rules: "RuleSet") -> "Store":
    """The memory these rules are remembered in: SANITYD_STATE, else `state:`, else beside the rules file."""
    import os

    from sanityd.store.open import Store

    return Store.open(os.environ.get("SANITYD_STATE") or rules.state, rules.folder)


def known_store(rules: "RuleSet") -> "Store | None":
    """The same memory, if there is one already; nothing is made."""
    import os

    url = os.environ.get("SANITYD_STATE") or rules.state
    if url is None and not (rules.folder / ".sanityd" / "state.db").exists():
        return None
    return open_store(rules)


def named(rules: "RuleSet", memory: "Connection", name: str) -> str:
    """The rule (or `source:NAME`) that is meant by its id or by that of an incident. Raises a usage error."""
    from sanityd.model import about_source
    from sanityd.store import incidents

    if (incident := incidents.get(memory, name)) is not None:
        return incident.rule
    if name in map(about_source, rules.sources):
        return name
    return str(rule_named(rules, name).id)


def rule_named(rules: "RuleSet", name: str) -> Any:
    """The rule of that id. Raises a usage error with a suggestion when there is none."""
    from sanityd.problems import suggest

    if name not in rules.rules:
        advice = suggest(name, rules.rules)
        raise click.UsageError(f"there is no rule `{name}`{'; ' + advice if advice else ''}")
    return rules.rules[name]


def write_new(path: Path, text: str) -> None:
    """Write a file that isn't there yet; what others wrote meanwhile is not overwritten. Raises a usage error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise click.UsageError(f"`{path}` is there already; nothing was written") from None
    except OSError as error:
        raise click.UsageError(f"`{path}` can't be written ({error.strerror})") from None
    click.echo(f"Wrote {path}.", err=True)
