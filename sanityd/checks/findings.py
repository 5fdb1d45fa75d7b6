"""What a look saw."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sanityd.model import Resolution, Violation


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a look saw; the fields mean what they mean in a Run."""

    violations: int
    rows: int
    checked: int | None
    tracked: tuple[Violation, ...]
    measured: float | None = None
    resolutions: Mapping[str, Resolution] = field(default_factory=dict)
    proved_by: str | None = None
    incremental: bool = False
