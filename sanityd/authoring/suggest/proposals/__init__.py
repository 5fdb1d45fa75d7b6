"""Ideas of what to propose. One idea is one file, with a function `candidates(table, tables)`; nothing lists them."""

import importlib
import pkgutil
from collections.abc import Iterator

from sanityd.authoring.suggest.profile import TableProfile
from sanityd.authoring.suggest.proposals.base import Candidate, Surroundings


def candidates(table: TableProfile, tables: Surroundings) -> Iterator[Candidate]:
    """All that may be worth saying of a table; none of it is tried yet."""
    for module in sorted(found.name for found in pkgutil.iter_modules(__path__)):
        idea = getattr(importlib.import_module(f"{__name__}.{module}"), "candidates", None)
        if idea is not None:
            yield from idea(table, tables)
