"""Rewrites regular expressions that are slow in PostgreSQL.

Its engine makes a state for each step of a counted repetition, and again for each text:
`[0-9a-f]{32}` takes three times as long as `[0-9a-f]*`. If only one part of a pattern has a
variable length, the length of the text determines the length of that part, so that the length can
be compared instead. See `src/backend/regex/README` of PostgreSQL.
"""

import re
from typing import NamedTuple

#: One character: a plain or escaped one, a class, or a simple bracket expression. Patterns with
#: anything else (groups, alternatives, anchors, other repetitions) are not rewritten.
_PLAIN = """A-Za-z0-9 _@<>=~:;,#%&'"!/-"""
_ONE = rf"[{_PLAIN}]|\.|\\[dswDSW.+*?()\[\]{{}}|^$/@-]|\[\^?[.+*?(){{}}|${_PLAIN}]+\]"
_COUNTED = re.compile(
    rf"((?:{_ONE})*)({_ONE})\{{([0-9]{{1,3}})(?:,([0-9]{{1,3}}))?\}}((?:{_ONE})*)"
)
_SINGLE = re.compile(_ONE)


class RewrittenPattern(NamedTuple):
    """Pattern without a count, with the smallest and largest length of a text."""

    pattern: str
    low: int
    high: int


def rewrite(pattern: str) -> RewrittenPattern | None:
    """Return the rewritten pattern for a match of a whole text; None if it isn't rewritten."""
    match = _COUNTED.fullmatch(pattern)
    if match is None:
        return None
    before, part, low, high, after = match.groups()
    fewest, most = int(low), int(high or low)
    if most < fewest or most < WORTHWHILE:
        return None
    fixed = len(_SINGLE.findall(before)) + len(_SINGLE.findall(after))
    return RewrittenPattern(f"{before}{part}*{after}", fixed + fewest, fixed + most)


#: The number of steps from which comparing the length is faster than counting.
WORTHWHILE = 4
