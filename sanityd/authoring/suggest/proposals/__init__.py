"""Candidates for rules. Each file is one idea, with a function `candidates(table, context)`.

The files are found by their names; no list of them exists.
"""

import importlib
import pkgutil
from collections.abc import Iterator

from sanityd.authoring.suggest.profile import TableProfile
from sanityd.authoring.suggest.proposals.base import Candidate, SourceContext


def candidates(table: TableProfile, context: SourceContext) -> Iterator[Candidate]:
    """Iterate over the candidates of all ideas for a table; none of them is tried yet."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    for name in names:
        module = importlib.import_module(f"{__name__}.{name}")
        idea = getattr(module, "candidates", None)
        if idea is not None:
            yield from idea(table, context)
