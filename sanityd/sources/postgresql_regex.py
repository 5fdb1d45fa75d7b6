"""Regular expressions that PostgreSQL is slow at, said in a way that it is quick at.

Its engine makes a state of each step of a counted repetition, for each text anew: `[0-9a-f]{32}` takes three times as
long as `[0-9a-f]*`. Where only one part of a pattern can be of any length, the length of the text tells how long that
part is, so that counting is not needed. Henry Spencer's engine is described in PostgreSQL's `src/backend/regex/README`.
"""

import re
from typing import NamedTuple

#: One character: a plain one, an escaped sign or class, or a simple bracket expression. Whatever else a pattern may
#: hold (groups, alternatives, anchors, other repetitions) makes it one that is left alone.
_PLAIN = """A-Za-z0-9 _@<>=~:;,#%&'"!/-"""
_ONE = rf"[{_PLAIN}]|\.|\\[dswDSW.+*?()\[\]{{}}|^$/@-]|\[\^?[.+*?(){{}}|${_PLAIN}]+\]"
_COUNTED = re.compile(
    rf"((?:{_ONE})*)({_ONE})\{{([0-9]{{1,3}})(?:,([0-9]{{1,3}}))?\}}((?:{_ONE})*)"
)
_SINGLE = re.compile(_ONE)


class Measured(NamedTuple):
    """A pattern without counting, and the characters that a text has at least and at most."""

    pattern: str
    low: int
    high: int


def measured(pattern: str) -> Measured | None:
    """The same as a whole match of `pattern`, by its length; None where that can't be said so, or needn't be."""
    found = _COUNTED.fullmatch(pattern)
    if found is None:
        return None
    before, part, low, high, after = found.groups()
    fewest, most = int(low), int(high or low)
    if most < fewest or most < WORTHWHILE:
        return None
    fixed = len(_SINGLE.findall(before)) + len(_SINGLE.findall(after))
    return Measured(f"{before}{part}*{after}", fixed + fewest, fixed + most)


#: From how many steps on measuring is quicker than counting.
WORTHWHILE = 4
