"""sanityd checks rules about the data in your databases, and notifies you when one is violated.

The names in `__all__` are the public Python interface; docs/reference/python.md explains them.
`import sanityd` imports none of them: each is imported when it is first used.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sanityd.api.announced import Announcement
    from sanityd.api.monitor import Monitor, expecting
    from sanityd.api.monitor import open_rules as open
    from sanityd.api.results import (
        CheckOutcome,
        HistoryEvent,
        IncidentRecord,
        RuleResult,
        RuleState,
        StatusReport,
        TriageDecision,
        ViolatingRow,
    )
    from sanityd.errors import (
        Problem,
        RuleError,
        SanitydError,
        StoreError,
        StoreUnavailableError,
        UnknownRuleError,
    )

__version__ = "0.1.0"

#: Each public name: the module that has it, and its name there.
_PUBLIC = {
    "open": ("sanityd.api.monitor", "open_rules"),
    "expecting": ("sanityd.api.monitor", "expecting"),
    "Monitor": ("sanityd.api.monitor", "Monitor"),
    "Announcement": ("sanityd.api.announced", "Announcement"),
    "CheckOutcome": ("sanityd.api.results", "CheckOutcome"),
    "HistoryEvent": ("sanityd.api.results", "HistoryEvent"),
    "IncidentRecord": ("sanityd.api.results", "IncidentRecord"),
    "RuleResult": ("sanityd.api.results", "RuleResult"),
    "RuleState": ("sanityd.api.results", "RuleState"),
    "StatusReport": ("sanityd.api.results", "StatusReport"),
    "TriageDecision": ("sanityd.api.results", "TriageDecision"),
    "ViolatingRow": ("sanityd.api.results", "ViolatingRow"),
    "Problem": ("sanityd.errors", "Problem"),
    "RuleError": ("sanityd.errors", "RuleError"),
    "SanitydError": ("sanityd.errors", "SanitydError"),
    "StoreError": ("sanityd.errors", "StoreError"),
    "StoreUnavailableError": ("sanityd.errors", "StoreUnavailableError"),
    "UnknownRuleError": ("sanityd.errors", "UnknownRuleError"),
}

__all__ = [
    "Announcement",
    "CheckOutcome",
    "HistoryEvent",
    "IncidentRecord",
    "Monitor",
    "Problem",
    "RuleError",
    "RuleResult",
    "RuleState",
    "SanitydError",
    "StatusReport",
    "StoreError",
    "StoreUnavailableError",
    "TriageDecision",
    "UnknownRuleError",
    "ViolatingRow",
    "__version__",
    "expecting",
    "open",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used. Raises AttributeError for any other name."""
    if name not in _PUBLIC:
        raise AttributeError(f"module `sanityd` has no `{name}`")
    import importlib

    module, attribute = _PUBLIC[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
