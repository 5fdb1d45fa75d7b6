"""A cheaper statement that shows where violations can be."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sanityd.sources.base import AnySelect


@dataclass(frozen=True, slots=True)
class Candidates:
    """A cheaper statement that shows where violations can be: no candidate, no violation.

    `statement` selects one column, without NULLs; `violations` returns the SELECT of the
    violations among some of its values.
    """

    statement: AnySelect
    violations: Callable[[Sequence[Any]], AnySelect]
