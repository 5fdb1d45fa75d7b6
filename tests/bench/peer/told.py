"""What every script of the benchmark reads and prints. Knows nothing but Python's own library."""

import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class Spec:
    """The rules as data, the login, and a folder for what the tool itself keeps. The clock runs
    from `begin`."""

    def __init__(self) -> None:
        self.file = Path(sys.argv[1])
        read = json.loads(self.file.read_text(encoding="utf-8"))
        self.login: dict[str, str] = read["login"]
        self.url: str = read["url"]
        self.rules: list[dict[str, Any]] = read["rules"]
        self.folder = self.file.parent / Path(sys.argv[0]).stem
        self.folder.mkdir(exist_ok=True)
        self._began = time.perf_counter()

    def begin(self) -> None:
        """The work begins: packages are imported."""
        self._began = time.perf_counter()

    def tell(self, counts: Mapping[str, int | str | None], notes: Sequence[str] = ()) -> None:
        """Print the result as the last line."""
        seconds = time.perf_counter() - self._began
        sys.stdout.write(
            "\n"
            + json.dumps({"counts": counts, "seconds": seconds, "peak": peak(), "notes": notes})
        )
        sys.stdout.write("\n")


def peak() -> float:
    """The most memory this process had, in MiB. Linux hands `ru_maxrss` on from the process that
    started this one."""
    found = re.search(r"VmHWM:\s+([0-9]+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def whole(pattern: str) -> str:
    """A regular expression for tools that search."""
    return f"^({pattern})$"
