"""The nouns of sanityd: runs, incidents, messages, schedules. Read this to learn the words.

All of them are frozen dataclasses or enums, without behaviour beyond what follows from their
fields. This package imports nothing else of sanityd; every other one may import it.
"""

from sanityd.model.incidents import (
    Cause,
    Incident,
    LastNotification,
    NoiseState,
    Reason,
    Silence,
    Triage,
    TriageAction,
    file_rule_id,
    source_rule_id,
)
from sanityd.model.messages import Alert, ClaimedMessage, Message, News, PastRun, RuleFacts
from sanityd.model.runs import (
    REGRESSION_WINDOW,
    Change,
    Key,
    Measurements,
    Outcome,
    Resolution,
    Run,
    Severity,
    TrackedViolation,
    Transition,
    UnchangedState,
    Value,
    Violation,
    decode_values,
    encode_values,
    extra_detail,
    fingerprint,
)
from sanityd.model.watermark import DEFAULT_OVERLAP, Watermark, watermark_after

__all__ = [
    "DEFAULT_OVERLAP",
    "REGRESSION_WINDOW",
    "Alert",
    "Cause",
    "Change",
    "ClaimedMessage",
    "Incident",
    "Key",
    "LastNotification",
    "Measurements",
    "Message",
    "News",
    "NoiseState",
    "Outcome",
    "PastRun",
    "Reason",
    "Resolution",
    "RuleFacts",
    "Run",
    "Severity",
    "Silence",
    "TrackedViolation",
    "Transition",
    "Triage",
    "TriageAction",
    "UnchangedState",
    "Value",
    "Violation",
    "Watermark",
    "decode_values",
    "encode_values",
    "extra_detail",
    "file_rule_id",
    "fingerprint",
    "source_rule_id",
    "watermark_after",
]
