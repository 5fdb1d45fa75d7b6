"""How restlessly a rule comes and goes, as a score from 0 to 100. Pure arithmetic.

The formula is Icinga 2's (`Checkable::UpdateFlappingStatus` in lib/icinga/checkable-flapping.cpp), which is a weighted
share of changes: among the last 20 runs each change of state counts from 0.8 for the oldest to 1.2 for the newest.
"""

from collections.abc import Sequence
from itertools import pairwise

#: What the oldest and the newest change weigh.
OLDEST, NEWEST = 0.8, 1.2


def flap_score(violated: Sequence[bool], window: int) -> float:
    """The share of changes among the last `window` steps from one run to the next, newer ones weighing more.

    Parameters: `violated` says of each run, oldest first, whether it was. Fewer runs than the window fill it from the
    newest end, so that a young rule needs as many changes as an old one.
    """
    changes = [before != after for before, after in pairwise(violated)][-window:]
    step = (NEWEST - OLDEST) / window
    missing = window - len(changes)
    weights = (OLDEST + step * (missing + place) for place in range(len(changes)))
    return 100.0 * sum(weight for weight, changed in zip(weights, changes, strict=True) if changed) / window
