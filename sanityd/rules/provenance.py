"""Where a rules file comes from: its last commit and the author, if git knows; else its owner."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

#: How long git may take, in seconds.
GIT_TIMEOUT = 5


@dataclass(frozen=True, slots=True)
class Provenance:
    """The author of a rules file.

    `commit` is empty for a file that git doesn't know, or that was changed since.
    """

    author: str
    commit: str = ""


def provenance(path: Path) -> Provenance:
    """Return the author of the last change to a rules file or folder. Raises nothing."""
    if _git(path, "status", "--porcelain") == "":
        commit, _, author = _git(path, "log", "-1", "--format=%h %an").partition(" ")
        if commit and author:
            return Provenance(author, commit)
    return Provenance(_owner(path))


def _git(path: Path, *words: str) -> str:
    """Return the output of a git command about the file; `?` when git fails."""
    folder, name = (path, ".") if path.is_dir() else (path.parent, path.name)
    # A file monitor named by a repository's own settings would be run.
    command = ["git", "-c", "core.fsmonitor=false", *words, "--", name]
    try:
        process = subprocess.run(  # noqa: S603 (fixed arguments and the user's own file)
            command,
            cwd=folder,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return "?"
    return process.stdout.strip() if process.returncode == 0 else "?"


def _owner(path: Path) -> str:
    try:
        return pwd.getpwuid(path.stat().st_uid).pw_name
    except (OSError, KeyError):
        return "somebody"
