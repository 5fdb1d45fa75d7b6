"""A folder with a rules file and an application's database, and the command line run in it as a
person would."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.support import forked
from tests.support.forked import Death, Ended, Process

RULES = """\
sources:
  app: sqlite:///app.db

channels:
  team: {email: team@example.com, server: "${SMTP_URL:-smtp://127.0.0.1:1}", from: sanity@example.com}

defaults:
  notify: [team]

rules:
  every-person-has-a-welcome-mail:
    table: app.people
    has: {in: app.mails, on: {id: person_id}, where: "template = 'welcome' and status = 'sent'"}
    within: 10m of created_at
    tags: [mail]

  no-duplicate-emails:
    table: app.people
    unique: {columns: email, ignore: [case, spaces]}
"""


@dataclass(frozen=True)
class Project:
    """A user's folder."""

    folder: Path

    def rules(self, text: str) -> None:
        """Write the rules file."""
        (self.folder / "rules.yaml").write_text(text, encoding="utf-8")

    def sql(self, text: str) -> None:
        """Do something to the application's data."""
        connection = sqlite3.connect(self.folder / "app.db")
        try:
            connection.executescript(text)
        finally:
            connection.close()

    def state(self, text: str) -> list[tuple[Any, ...]]:
        """Ask or change sanityd's memory behind its back."""
        connection = sqlite3.connect(self.folder / ".sanityd" / "state.db", timeout=10)
        try:
            rows = connection.execute(text).fetchall()
            connection.commit()
            return rows
        finally:
            connection.close()

    def wait_for(self, question: str, answer: object, seconds: float = 30) -> None:
        """Until sanityd's memory answers the question so."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with suppress(sqlite3.OperationalError):  # it isn't made yet
                if self.state(question) == [(answer,)]:
                    return
            time.sleep(0.05)
        raise TimeoutError(question)

    def run(self, *words: str, **environment: str) -> Ended:
        """Run `sanityd` in the folder, as its own process."""
        return forked.run(self.folder, words, {**os.environ, "COLUMNS": "120", **environment})

    def begin(
        self,
        environment: Mapping[str, str],
        death: Death | None = None,
        *,
        later: timedelta = timedelta(0),
        waits: bool = False,
    ) -> Process:
        """A pass in a process of its own, which may die on the way, or wait there; its clock may be
        ahead of ours."""
        return Process(
            self.folder, ["check"], {**os.environ, **environment}, death, later=later, waits=waits
        )

    def run_anew(self, *words: str, **environment: str) -> Ended:
        """The same, with an interpreter of its own, which reads its environment when it starts."""
        done = subprocess.run(
            [sys.executable, "-m", "sanityd", *words],
            cwd=self.folder,
            env={**os.environ, "COLUMNS": "120", **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)
