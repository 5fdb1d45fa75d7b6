"""One look at the one rule of a file, in a process of its own; prints seconds, MiB at the peak, and
statements."""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from sanityd import pipeline
from sanityd.rules.load import load
from tests.bench import optimisations
from tests.bench.peer.told import peak


def main() -> None:
    """Expects exactly one violation."""
    optimisations.switch_off()
    read = load(Path(sys.argv[1]))
    began = time.perf_counter()
    [run] = pipeline.evaluate(read, list(read.rules.values()), datetime.now(UTC))
    seconds = time.perf_counter() - began
    assert (run.error, run.violations) == (None, 1), run
    sys.stdout.write(json.dumps([seconds, peak(), run.statements]))


if __name__ == "__main__":
    main()
