"""The rules and the store for commands that need only the store: while the rules file has errors,
the rules as they were adopted last."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sanityd.cli.options import open_store

if TYPE_CHECKING:
    from sanityd.errors import RuleError
    from sanityd.rules.rule import RuleSet
    from sanityd.store.open import Store


@contextmanager
def rules_and_store(path: Path, form: str = "text") -> "Iterator[tuple[RuleSet, Store]]":
    """Load the rules and open the store, and close it at the end.

    If the file has errors, the first one is printed in one line (on stderr unless `form` is
    `text`), and the rules that were adopted last are returned. Raises RuleError when there are
    none.
    """
    from sanityd.errors import RuleError
    from sanityd.rules.load import load

    try:
        rules = load(path, need_secrets=False)
    except RuleError as error:
        rules, store = _as_adopted(path, error, to_stderr=form != "text")
    else:
        store = open_store(rules)
    try:
        yield rules, store
    finally:
        store.close()


def _as_adopted(path: Path, error: "RuleError", *, to_stderr: bool) -> "tuple[RuleSet, Store]":
    """Return the rules that were adopted last, and their store. Never creates a store."""
    from sanityd.rules import adopted
    from sanityd.rules.diagnostics import first_of
    from sanityd.store import adopted_rules

    state, name = _readable_part(path)
    store = _existing_store(path, os.environ.get("SANITYD_STATE") or state)
    if store is None:
        raise error
    with store.read() as connection:
        kept = adopted_rules.find(connection, name, str(path.resolve()))
    if kept is None:
        store.close()
        raise error
    time = kept.adopted_at.astimezone().strftime("%Y-%m-%d %H:%M %Z")
    click.echo(
        f"{first_of(error.problems)}; the rules read last on {time} are used; see `sanityd lint`",
        err=to_stderr,
    )
    rules = adopted.from_content(kept.content, path, kept.file, kept.revision)
    return rules, store


def _readable_part(path: Path) -> tuple[str | None, str | None]:
    """Return the URL of the store and the name of the file, as far as the file can be read."""
    from sanityd.errors import RuleError
    from sanityd.rules.load import examine
    from sanityd.rules.yaml import rules_document

    try:
        document = rules_document.parse_readable_part(path)
    except RuleError:
        # The file is missing. Without a name its name in the store is the one beside the store.
        return None, None if os.environ.get("SANITYD_STATE") else path.name
    rules = examine(document, path, need_secrets=False).rules
    return rules.state, rules.named


def _existing_store(path: Path, url: str | None) -> "Store | None":
    """Open the store, if it exists."""
    from sanityd.store.open import Store

    folder = path if path.is_dir() else path.parent
    existing = Store.existing(url, folder)
    if existing is None:
        return None
    existing.close()
    return Store.open(url, folder)
