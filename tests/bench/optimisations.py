"""The optimisations of the planner that can be switched off, to measure what each gains.

`scripts/bench rules --without-each` and `scripts/bench across` run sanityd in a process in which one
of them is switched off. The tests prove that the answers stay the same.
"""

import os
from collections.abc import Callable, Collection

from sanityd.checks import bitmaps, executor, plan
from sanityd.checks.forms import queries
from sanityd.checks.plan import Plan, PlannedCheck
from sanityd.sources import postgresql_dialect


def without_digests() -> None:
    """Group by the key itself, instead of sorting 64-bit digests to find candidates."""
    queries.LARGE_TABLE = 10**18


def without_length() -> None:
    """Leave repetitions in regular expressions, instead of asking for the length."""
    postgresql_dialect.rewrite = lambda pattern: None  # type: ignore[attr-defined]


def without_second_connection() -> None:
    """Use one connection, with PostgreSQL's own parallel workers."""
    executor.PARALLEL_FROM_ROWS = 10**18


def without_shared_scan() -> None:
    """Scan the table once for each row rule."""
    plan.RULES_PER_SCAN = 1


def without_shared_counts() -> None:
    """Count the rows of a table once for each rule."""
    shared = Plan.counted

    def counted(self: Plan, trusted: Collection[str] = ()) -> list[tuple[PlannedCheck, ...]]:
        return [(check,) for checks in shared(self, trusted) for check in checks]

    Plan.counted = counted  # type: ignore[method-assign]


def without_bitmaps() -> None:
    """Compare whole numbers of two sources one by one."""
    bitmaps._SPARSE = 10**-9  # type: ignore[assignment]


#: By the name that the table shows.
OPTIMISATIONS: dict[str, Callable[[], None]] = {
    "digests of keys": without_digests,
    "length instead of repetition": without_length,
    "second connection": without_second_connection,
    "shared scan of row rules": without_shared_scan,
    "shared counts": without_shared_counts,
    "bitmaps": without_bitmaps,
}
#: The environment variable that names the one to switch off.
VARIABLE = "SANITYD_BENCH_WITHOUT"


def switch_off() -> None:
    """Switch off the optimisation that the environment names, if it names one."""
    name = os.environ.get(VARIABLE)
    if name:
        OPTIMISATIONS[name]()
