"""The results of evaluating a check."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sanityd.model import Resolution, Violation


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of one check; the fields mean what they mean in a Run."""

    violations: int
    rows: int
    checked: int | None
    tracked: tuple[Violation, ...]
    measured: float | None = None
    resolutions: Mapping[str, Resolution] = field(default_factory=dict)
    proved_by: str | None = None
    incremental: bool = False
    detail: str = ""

    @property
    def truncated(self) -> bool:
        """Whether there are more violations than are tracked one by one."""
        return self.violations > len(self.tracked)


class Judgement:
    """The result of an aggregate check: a measured value, and violations that words identify."""

    def __init__(self, measured: float | None, faults: Iterable[tuple[str, int]] = ()) -> None:
        self.measured = measured
        self.violations = tuple(
            Violation({"fault": words}, detail=words, rows=rows) for words, rows in faults
        )
