"""A scheduler of N batches that do nothing, for so many seconds: `python -m tests.bench.ticking N
SECONDS`."""

import itertools
import json
import sys
import threading
import time

from sanityd.model.schedule import parse_schedule
from sanityd.scheduler import Batch, Scheduler
from tests.bench.peer.told import peak
from tests.support.clockwork import NoWork

EVERY = 10


def main() -> None:
    """Prints how many evaluations there were and should have been, and the CPU seconds of all but
    the planning."""
    number, seconds = int(sys.argv[1]), int(sys.argv[2])
    done = itertools.count()
    batches = [
        Batch(f"source{n}", parse_schedule(f"every {EVERY}s"), (f"rule{n}",)) for n in range(number)
    ]
    started: list[float] = []

    class Nothing(NoWork):
        """Counts."""

        def evaluate(self, batch: Batch) -> None:
            next(done)

    def begin_and_end() -> None:
        # The first second is the planning's, which has ended when the first batch is due.
        while not scheduler._scheduler.running:
            time.sleep(0.01)
        started.extend((time.perf_counter() - began, time.process_time()))
        time.sleep(seconds)
        scheduler.stop()

    scheduler = Scheduler(Nothing())
    threading.Thread(target=begin_and_end, daemon=True).start()
    began = time.perf_counter()
    scheduler.run(batches)
    figures = {
        "planned": started[0],
        "cpu": time.process_time() - started[1],
        "evaluations": next(done),
        "expected": number * (seconds // EVERY),
        "peak": peak(),
    }
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    main()
