"""Options that several commands share; finds the rules and the store; writes files."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sanityd.model import Incident
    from sanityd.rules.rule import RuleSet
    from sanityd.store.open import Store

#: The fewest characters of an incident's id that may stand for it.
SHORTEST_PREFIX = 4


def _read_env_file(_: click.Context, __: click.Parameter, path: Path | None) -> None:
    """Set the variables of a file that are not set yet. Raises RuleError."""
    import os

    if path is None:
        return
    from sanityd.rules import env_file

    for name, value in env_file.read(path).items():
        os.environ.setdefault(name, value)


_env_option: Callable[[Any], Any] = click.option(
    "--env",
    type=click.Path(path_type=Path),
    metavar="FILE",
    # Read first, as other options take their values from variables.
    is_eager=True,
    expose_value=False,
    callback=_read_env_file,
    help="Read variables from this file, as `.env`; those that are set already win.",
)
_rules_option: Callable[[Any], Any] = click.option(
    "--rules",
    "path",
    type=click.Path(path_type=Path),
    envvar="SANITYD_RULES",
    default=Path("rules.yaml"),
    show_default=True,
    help="The rules file, or a folder of them (SANITYD_RULES).",
)


def rules_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options `--rules` and `--env` to a command."""
    command: Callable[..., Any] = _rules_option(_env_option(function))
    return command


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
    """Open the store: SANITYD_STATE, or else `state:`, or else the file in the folder of the
    rules. From now on the terminal shows times in the zone of the mails."""
    import os

    from sanityd.cli.local_time import use_zone
    from sanityd.store.open import Store

    use_zone(rules.alerts.zone)
    return Store.open(os.environ.get("SANITYD_STATE") or rules.state, rules.folder)


def existing_store(rules: "RuleSet") -> "Store | None":
    """Open the store if it exists; None if not. Never creates the default file."""
    import os

    url = os.environ.get("SANITYD_STATE") or rules.state
    if url is None and not (rules.folder / ".sanityd" / "state.db").exists():
        return None
    return open_store(rules)


def find_rule_id(rules: "RuleSet", connection: "Connection", name: str) -> str:
    """Return the rule id, or `source:NAME`, for the id of a rule, source or incident, or for the
    beginning of an incident's id.

    Removed rules are found, too. Raises a usage error for an unknown name.
    """
    from sanityd.model import source_rule_id
    from sanityd.store import incidents, rules_seen

    incident = incidents.get(connection, name)
    if incident is not None:
        return incident.rule
    rule_ids = set(rules.rules)
    rule_ids.update(source_rule_id(source) for source in rules.sources)
    rule_ids.update(rules_seen.names(connection, rules.name))
    if name in rule_ids:
        return name
    incident = find_incident(connection, name)
    if incident is not None:
        return incident.rule
    raise no_such(f"there is no rule or incident `{name}`", name, rule_ids)


def find_incident(connection: "Connection", word: str) -> "Incident | None":
    """Return the incident whose id is the word or begins with it; None if there is none.

    Raises a usage error if there are several.
    """
    from sanityd.store import incidents

    incident = incidents.get(connection, word)
    if incident is not None or len(word) < SHORTEST_PREFIX:
        return incident
    matching = incidents.with_prefix(connection, word)
    if len(matching) > 1:
        ids = ", ".join(incident.id for incident in matching)
        raise click.UsageError(f"`{word}` is the beginning of several incidents: {ids}")
    return matching[0] if matching else None


def rule_named(rules: "RuleSet", name: str) -> Any:
    """Return the rule with that id. Raises a usage error with a suggestion if there is none."""
    if name not in rules.rules:
        raise no_such(f"there is no rule `{name}`", name, rules.rules)
    return rules.rules[name]


def no_such(message: str, word: str, candidates: Iterable[str], end: str = "") -> click.UsageError:
    """Return a usage error for an unknown word, with the most similar candidate.

    Parameters: `message` is the first part of the error, `end` its last.
    """
    from sanityd.model.did_you_mean import did_you_mean

    suggestion = did_you_mean(word, candidates)
    if suggestion:
        message = f"{message}; {suggestion}"
    return click.UsageError(message + end)


def file_exists_error(path: Path) -> click.UsageError:
    """Return the error for a file that exists and is not overwritten."""
    return click.UsageError(f"`{path}` exists already; nothing was written")


def create_file(path: Path, text: str) -> bool:
    """Create a file. Returns False if the file, or a link, exists already: it is not
    overwritten."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    return True


def write_new(path: Path, text: str) -> None:
    """Create a file with its folders, and print its name on stderr. Raises a usage error if it
    exists or can't be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not create_file(path, text):
            raise file_exists_error(path)
    except FileExistsError:
        raise file_exists_error(path) from None
    except OSError as error:
        raise click.UsageError(f"`{path}` can't be written ({error.strerror})") from None
    click.echo(f"Wrote {path}.", err=True)
