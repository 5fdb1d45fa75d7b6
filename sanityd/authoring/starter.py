"""A first rules file: a commented example, or what was proposed for a database. Writes nothing."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from sanityd.alerts.compose.sanitize import visible
from sanityd.authoring.suggest.results import Proposal, Suggestions
from sanityd.authoring.yaml_text import comment, scalar
from sanityd.errors import SourceError

#: What the database's URL is called in the environment, and that of the mail server.
DATABASE, MAIL = "APP_DATABASE_URL", "SMTP_URL"
_FILES = {".duckdb": "duckdb", ".ddb": "duckdb"}

_HEAD = """\
# What must always be true of the data. `sanityd lint` reads it, `sanityd try RULE` looks at one rule,
# `sanityd check` looks at all of them. `sanityd kinds` lists what can be said.
sources:
  app: {source}

channels:
  # Mails as files in a folder beside this one. Once SMTP_URL names your mail server, let `notify` be [team].
  trial: {{file: mails}}
  team: {{email: team@example.com, server: "${{SMTP_URL:-smtp://localhost:25}}", from: "Sanity <sanity@example.com>"}}

defaults:
  schedule: every 5m
  notify: [trial]

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

#: For a database that nothing could be proposed for: a rule that is right on every database, to be replaced.
_NOTHING = """\
  # Nothing was proposed. This one holds as long as the database answers; write your own in its place, such as
  #   every-order-has-a-customer: {table: app.orders, references: {customer_id: app.customers.id}}
  the-database-answers:
    source: app
    query: select 1 as id from (select 1 as one) as t where 1 = 0
    key: id
"""

_ENVIRONMENT = """\
# Copy this to `.env`, fill it in, and keep that file to yourself: `set -a; . ./.env; set +a` exports it.
{database}# The mail server: smtp://user:password@host:587
SMTP_URL=
"""
_OF_DATABASE = """\
# The database, with a login that can only SELECT, such as postgresql://user:password@host/database
APP_DATABASE_URL=
"""


def example() -> str:
    """A rules file to be edited by hand."""
    return _HEAD.format(source=f"${{{DATABASE}}}") + _EXAMPLE


def proposed(found: Suggestions, source: str) -> str:
    """A rules file with proposals, those of one table together. `source` is what stands for the URL in it."""
    is_plain = "${" in source or re.fullmatch(r"[a-z]+:///[A-Za-z0-9_./-]+", source)
    head = _HEAD.format(source=source if is_plain else scalar(source))
    return head + (written(found.proposals) or _NOTHING)


def written(proposals: Iterable[Proposal]) -> str:
    """Rules as they stand below `rules:`, table by table; of each table those that don't hold come first."""
    by_table: dict[str, list[Proposal]] = {}
    for proposal in proposals:
        by_table.setdefault(proposal.table.title, []).append(proposal)
    parts = []
    for table, some in sorted(by_table.items()):
        rules = ["\n".join(f"  {line}" for line in proposal.lines()) for proposal in some]
        parts.append("\n\n".join([f"  {comment(table)}\n{rules[0]}", *rules[1:]]))
    return "\n\n".join(parts) + "\n" if parts else ""


def environment(*, with_database: bool) -> str:
    """A file with the names of the variables that the rules file needs, and no value."""
    return _ENVIRONMENT.format(database=_OF_DATABASE if with_database else "")


def url_of(text: str) -> str:
    """What was given on the command line as a URL: a file of SQLite or DuckDB may be named as it is.

    Raises SourceError for a file that isn't there, and for one that no URL can name.
    """
    if "://" in text:
        return text
    if not Path(text).is_file():
        raise SourceError(
            f"there is no file `{visible(text)}`",
            "Name a file of SQLite or DuckDB, or write a URL.",
        )
    if "?" in str(Path(text).resolve()):
        raise SourceError(
            f"`{visible(text)}` can't be named in a URL, where `?` ends a path",
            "Make a link to it.",
        )
    return f"{_FILES.get(Path(text).suffix, 'sqlite')}:///{Path(text).resolve()}"


def source_in(url: str, folder: Path) -> str:
    """How the source is written into a rules file in that folder: a file by its path, which is no secret; anything else
    by the name of a variable."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return f"${{{DATABASE}}}"
    plain = (
        parsed.get_backend_name() in ("sqlite", "duckdb")
        and not parsed.query
        and not parsed.password
    )
    if (
        not plain
        or not parsed.database
        or not Path(parsed.database).is_file()
        or "${" in parsed.database
    ):
        return f"${{{DATABASE}}}"
    return f"{parsed.get_backend_name()}:///{os.path.relpath(Path(parsed.database).resolve(), folder.resolve())}"
