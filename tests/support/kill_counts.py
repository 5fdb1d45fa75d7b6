"""How often processes were killed where, and what came of it: counted over all workers, told at the
end of a run."""

import json
import os
from collections.abc import Collection
from pathlib import Path

#: The folder of the run, which the workers inherit.
FOLDER = "SANITYD_TEST_RUN"


def count(places: Collection[str], mails: int, doubled: int, lost: int) -> None:
    """One test's deaths: where, how many mails there were to send, how many came twice, how many
    answers were lost."""
    line = json.dumps({"places": list(places), "mails": mails, "doubled": doubled, "lost": lost})
    with _file().open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def told() -> str:
    """All of it in one line; empty when nobody was killed."""
    if not _file().exists():
        return ""
    found = [json.loads(line) for line in _file().read_text(encoding="utf-8").splitlines()]
    places = [place for one in found for place in one["places"]]
    mails, doubled, lost = (
        sum(one[name] for one in found) for name in ("mails", "doubled", "lost")
    )
    return (
        f"{len(places)} processes killed at {len(set(places))} places: of {mails} mails none lost, "
        f"{doubled} came twice, {lost} answers of the server were lost"
    )


def _file() -> Path:
    return Path(os.environ[FOLDER]) / "kills"
