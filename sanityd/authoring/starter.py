"""A first rules file: a commented example, or promises read off a database's own tables."""

import re
from collections.abc import Iterable, Iterator, Mapping

from sanityd.sources.base import Snapshot
from sanityd.sources.catalog import Family, TableInfo

_HEAD = """\
# What must always be true of the data. `sanityd lint` reads it, `sanityd try RULE` looks at one rule,
# `sanityd check` looks at all of them. `sanityd kinds` lists what can be said.
sources:
  app: ${APP_DATABASE_URL}

channels:
  team: {email: team@example.com, server: "${SMTP_URL:-smtp://localhost:25}", from: "Sanity <sanity@example.com>"}

defaults:
  schedule: every 5m
  notify: [team]

rules:
"""

_EXAMPLE = """\
  # The id is a promise said aloud; it names the rule in mails and keeps its history.
  every-person-has-a-welcome-mail:
    table: app.people
    has: {in: app.mails, on: {id: person_id}, where: "template = 'welcome' and status = 'sent'"}
    within: 10m of created_at
    why: Without it people never confirm their address and can't sign in.

  no-duplicate-emails:
    table: app.people
    unique: {columns: email, ignore: [case, spaces]}
"""

#: Columns that are meant to be unique in most databases that have them.
_UNIQUE = re.compile(r"(e?mail|email_address|uuid|slug|username|login)")
#: Columns whose text has a form that is known by its name.
_FORMATS = {"email": "email", "email_address": "email", "uuid": "uuid", "slug": "slug", "currency": "currency"}


def example() -> str:
    """A rules file to be edited by hand."""
    return _HEAD + _EXAMPLE


def proposed(snapshot: Snapshot) -> str:
    """A rules file with promises that the names and types of the tables suggest, and that no constraint proves.

    They are proposals: they were not tried on the data.
    """
    tables = {name: snapshot.table(name) for name in snapshot.table_names()}
    rules = "\n".join(text for table in tables.values() for text in _promises(table, tables))
    return _HEAD + (rules or _EXAMPLE)


def _promises(table: TableInfo, tables: Mapping[str, TableInfo]) -> Iterator[str]:
    keys = {key for key in (table.primary_key, *table.unique_keys) if key}
    for name, column in table.columns.items():
        if _UNIQUE.fullmatch(name) and (name,) not in keys:
            yield _rule(f"no-duplicate-{name}-in-{table.name}", table, [f"unique: {_quoted(name)}"])
        if (form := _FORMATS.get(name)) and column.family is Family.TEXT:
            yield _rule(
                f"every-{name}-of-{table.name}-is-well-formed", table, [f"matches: {{{_quoted(name)}: {form}}}"]
            )
        if (target := _target(name, tables)) is not None:
            line = f"references: {{{_quoted(name)}: {_quoted(target + '.id')}}}"
            yield _rule(f"every-{name}-of-{table.name}-exists", table, [line])
    if not keys:
        return
    yield _rule(f"{table.name}-is-not-empty", table, ["row_count: {min: 1}", "severity: warning"])


def _target(column: str, tables: Mapping[str, TableInfo]) -> str | None:
    """The table that a column such as `person_id` points at, by the usual ways to form a plural."""
    stem = column.removesuffix("_id")
    if stem == column:
        return None
    plurals = (stem, stem + "s", stem + "es", stem.removesuffix("y") + "ies", {"person": "people"}.get(stem, stem))
    return next((name for name in plurals if name in tables and "id" in tables[name].columns), None)


def _rule(name: str, table: TableInfo, lines: Iterable[str]) -> str:
    slug = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
    body = "".join(f"    {line}\n" for line in lines)
    return f"  {slug}:\n    table: {_quoted('app.' + table.name)}\n{body}"


def _quoted(text: str) -> str:
    """The text as a YAML scalar."""
    return text if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", text) else "'" + text.replace("'", "''") + "'"
