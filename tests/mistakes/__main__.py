"""Writes anew what is told of each mistake in `files.txt` and, on SQLite, in `databases.txt`."""

import tempfile
from dataclasses import replace
from pathlib import Path

from tests import mistakes
from tests.mistakes import tables


def main() -> None:
    """Both files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'app.db'}"
        tables.build(url)
        for file, environment in (("files", None), ("databases", {"APP_URL": url})):
            cases = [
                replace(case, expected=mistakes.told(case, folder, environment))
                for case in mistakes.cases(file)
            ]
            mistakes.write(file, cases)


if __name__ == "__main__":
    main()
