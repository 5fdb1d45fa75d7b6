"""Options that several commands share, and how they find the rules and the store."""

from collections.abc import Callable, Iterable
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
    """The connection these rules are remembered in: SANITYD_STATE, else `state:`, else beside the rules
    file."""
    import os

    from sanityd.store.open import Store

    return Store.open(os.environ.get("SANITYD_STATE") or rules.state, rules.folder)


def known_store(rules: "RuleSet") -> "Store | None":
    """The same connection, if there is one already; nothing is made."""
    import os

    url = os.environ.get("SANITYD_STATE") or rules.state
    if url is None and not (rules.folder / ".sanityd" / "state.db").exists():
        return None
    return open_store(rules)


def named(rules: "RuleSet", connection: "Connection", name: str) -> str:
    """The rule, also one that has left the file, or `source:NAME` that is meant by its id or by
    that of an incident. Raises a usage error."""
    from sanityd.model import about_source
    from sanityd.store import incidents, rules_seen

    if (incident := incidents.get(connection, name)) is not None:
        return incident.rule
    known = {
        *rules.rules,
        *map(about_source, rules.sources),
        *rules_seen.names(connection, rules.name),
    }
    if name not in known:
        raise no_such(f"there is no rule `{name}`", name, known)
    return name


def rule_named(rules: "RuleSet", name: str) -> Any:
    """The rule of that id. Raises a usage error with a suggestion when there is none."""
    if name not in rules.rules:
        raise no_such(f"there is no rule `{name}`", name, rules.rules)
    return rules.rules[name]


def no_such(words: str, word: str, known: Iterable[str], after: str = "") -> click.UsageError:
    """The error of a word that isn't known: what it is in `words`, with the one that may be
    meant."""
    from sanityd.model.did_you_mean import did_you_mean

    advice = did_you_mean(word, known)
    return click.UsageError(f"{words}{'; ' + advice if advice else ''}{after}")


def is_there(path: Path) -> click.UsageError:
    """The error of a file that is not overwritten."""
    return click.UsageError(f"`{path}` is there already; nothing was written")


def write_beside(path: Path, text: str) -> bool:
    """Write a file where there is none, also no link; False when there is one: what others wrote is
    theirs."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    return True


def write_new(path: Path, text: str) -> None:
    """Write a file that isn't there yet, and say so. Raises a usage error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not write_beside(path, text):
            raise is_there(path)
    except FileExistsError:
        raise is_there(path) from None
    except OSError as error:
        raise click.UsageError(f"`{path}` can't be written ({error.strerror})") from None
    click.echo(f"Wrote {path}.", err=True)
