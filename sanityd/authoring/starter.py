"""The text of a first rules file: a commented example, or proposals for a database."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from sanityd.alerts.compose.sanitize import display_value
from sanityd.authoring.suggest.results import Proposal, Suggestions
from sanityd.authoring.yaml_text import comment, scalar
from sanityd.errors import SourceError

#: The environment variable with the URL of the database.
DATABASE = "APP_DATABASE_URL"
#: File suffixes of other databases than SQLite.
_FILES = {".duckdb": "duckdb", ".ddb": "duckdb"}

_HEAD = """\
# What must always be true of the data. `sanityd lint` reads it, `sanityd try RULE` checks one rule,
# `sanityd check` checks all of them. `sanityd kinds` lists the kinds of rules.
sources:
  app: {source}

channels:
  # Mails as files in the folder `mails`, beside this file. Once SMTP_URL names your mail server,
  # write `notify: [team]`.
  trial: {{file: mails}}
  team: {{email: team@example.com, server: "${{SMTP_URL:-smtp://localhost:25}}", \
from: "Sanity <sanity@example.com>"}}

defaults:
  schedule: every 5m
  notify: [trial]

rules:
"""

_EXAMPLE = """\
  # The id says what must be true. It names the rule in mails, and its history belongs to the id.
  every-person-has-a-welcome-mail:
    table: app.people
    has: {in: app.mails, on: {id: person_id}, where: "template = 'welcome' and status = 'sent'"}
    within: 10m of created_at
    why: Without it people never confirm their address and can't sign in.

  no-duplicate-emails:
    table: app.people
    unique: {columns: email, ignore: [case, spaces]}
"""

#: When nothing is proposed for a database: a rule that holds on every database, to be replaced.
_NOTHING = """\
  # Nothing was proposed. This rule holds as long as the database answers; write your own in its
  # place, such as
  #   every-order-has-a-customer: {table: app.orders, references: {customer_id: app.customers.id}}
  the-database-answers:
    source: app
    query: select 1 as id from (select 1 as one) as t where 1 = 0
    key: id
"""

_ENVIRONMENT = """\
# Copy this to `.env`, fill it in, and keep that file secret: `set -a; . ./.env; set +a` exports it.
{database}# The mail server: smtp://user:password@host:587
SMTP_URL=
"""
_OF_DATABASE = """\
# The database, with a login that can only SELECT, such as postgresql://user:password@host/database
APP_DATABASE_URL=
"""


def example_file() -> str:
    """Return a rules file to edit by hand."""
    return _HEAD.format(source=f"${{{DATABASE}}}") + _EXAMPLE


def proposals_file(suggestions: Suggestions, source: str) -> str:
    """Return a rules file with the proposals, grouped by table.

    `source` is written in place of the database's URL: the URL of a file, or a variable.
    """
    is_plain = "${" in source or re.fullmatch(r"[a-z]+:///[A-Za-z0-9_./-]+", source)
    head = _HEAD.format(source=source if is_plain else scalar(source))
    return head + (rules_text(suggestions.proposals) or _NOTHING)


def rules_text(proposals: Iterable[Proposal]) -> str:
    """Return the lines below `rules:` for the proposals, sorted by table.

    For each table the order is that of the proposals. Returns nothing when there are none.
    """
    by_table: dict[str, list[Proposal]] = {}
    for proposal in proposals:
        by_table.setdefault(proposal.table.title, []).append(proposal)
    if not by_table:
        return ""
    blocks = []
    for table, table_proposals in sorted(by_table.items()):
        rules = [_indented(proposal.lines()) for proposal in table_proposals]
        rules[0] = f"  {comment(table)}\n{rules[0]}"
        blocks += rules
    return "\n\n".join(blocks) + "\n"


def _indented(lines: Iterable[str]) -> str:
    return "\n".join(f"  {line}" for line in lines)


def environment_file(*, with_database: bool) -> str:
    """Return an `.env` file with the variables that the rules file needs, without values."""
    return _ENVIRONMENT.format(database=_OF_DATABASE if with_database else "")


def database_url(text: str) -> str:
    """Return the URL for a command-line argument: a URL, or a file of SQLite or DuckDB.

    Raises SourceError for a missing file, and for one that no URL can name.
    """
    if "://" in text:
        return text
    path = Path(text)
    if not path.is_file() and "@" in text:
        # It may be a URL without its beginning, with a password.
        raise SourceError(
            "this is neither a URL nor the name of a file",
            "Write `postgresql://user:password@host/database`, or name a file of SQLite or DuckDB.",
        )
    if not path.is_file():
        raise SourceError(
            f"there is no file `{display_value(text)}`",
            "Name a file of SQLite or DuckDB, or write a URL.",
        )
    if "?" in str(path.resolve()):
        raise SourceError(
            f"`{display_value(text)}` can't be named in a URL, where `?` ends a path",
            "Make a link to it.",
        )
    backend = _FILES.get(path.suffix, "sqlite")
    return f"{backend}:///{path.resolve()}"


def source_setting(url: str, folder: Path) -> str:
    """Return the source for a rules file in this folder.

    A database file is written with its relative path, which is no secret; any other URL is replaced
    by an environment variable.
    """
    variable = f"${{{DATABASE}}}"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return variable
    backend = parsed.get_backend_name()
    if backend not in ("sqlite", "duckdb") or parsed.query or parsed.password:
        return variable
    if not parsed.database or "${" in parsed.database:
        return variable
    path = Path(parsed.database)
    if not path.is_file():
        return variable
    return f"{backend}:///{os.path.relpath(path.resolve(), folder.resolve())}"
