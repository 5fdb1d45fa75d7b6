"""Other tools that check data, each in an environment of its own below `.bench/`, with its
telemetry switched off.

A tool that can't be installed is a line of the report. The scripts in `peer/` run in those
environments: they know nothing of this project but the file `spec.json`.
"""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests import ROOT

CACHE = ROOT / ".bench"
UV = ROOT / ".uv" / "bin" / "uv"


@dataclass(frozen=True)
class Candidate:
    """A command that prints counts, seconds and memory as a line of JSON. `exact`: it must count
    right."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    exact: bool = False


@dataclass(frozen=True)
class Peer:
    """What is installed, the script that runs it, and what keeps it from phoning home."""

    packages: tuple[str, ...]
    script: str
    environment: Mapping[str, str] = field(default_factory=dict)


PEERS = {
    "soda 4": Peer(
        ("soda-postgres>=4,<5",), "soda_contracts", {"SODA_CORE_TELEMETRY_ENABLED": "false"}
    ),
    "soda 3.5": Peer(("soda-core-postgres>=3.5,<3.6",), "soda_cl"),
    # dbt-core 1.12 fetches a binary from elsewhere when it is installed.
    "dbt": Peer(
        ("dbt-core>=1.10,<1.12", "dbt-postgres>=1.9"),
        "dbt_tests",
        {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
    ),
    "great expectations": Peer(
        ("great_expectations[postgresql]>=1.3,<2",),
        "expectations",
        {"GX_ANALYTICS_ENABLED": "false"},
    ),
    "pointblank": Peer(
        ("pointblank>=1", "ibis-framework[postgres]>=10", "pandas", "polars"), "points"
    ),
}


def candidate(name: str, folder: Path) -> Candidate | str:
    """A peer that is ready to run, or why it isn't."""
    peer = PEERS[name]
    home = CACHE / peer.script
    python = home / "bin" / "python"
    wanted = "\n".join(peer.packages)
    stamp = home / "stamp"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        commands = (
            (str(UV), "venv", "--quiet", "--clear", "--python", sys.executable, str(home)),
            (str(UV), "pip", "install", "--quiet", "--python", str(python), *peer.packages),
        )
        for words in commands:
            try:
                done = subprocess.run(
                    words, capture_output=True, text=True, check=False, timeout=600
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                return f"can't be installed: {type(error).__name__}"
            if done.returncode:
                return f"can't be installed: {(done.stderr.strip().splitlines() or ['?'])[0][:200]}"
        stamp.write_text(wanted, encoding="utf-8")
    command = (str(python), "-m", f"tests.bench.peer.{peer.script}", str(folder / "spec.json"))
    return Candidate(name, command, {**peer.environment, "PYTHONPATH": str(ROOT)})
