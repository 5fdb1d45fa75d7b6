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
    about_file,
    about_source,
)
from sanityd.model.messages import Alert, Claimed, Message, News, PastRun, RuleFacts
from sanityd.model.runs import (
    Change,
    Key,
    Outcome,
    Past,
    Resolution,
    Run,
    Severity,
    Tracked,
    Transition,
    UnchangedState,
    Value,
    Violation,
    beyond_key,
    decode_values,
    encode_values,
    fingerprint,
)
from sanityd.model.watermark import OVERLAP, Watermark, watermark_after

__all__ = [
    "OVERLAP",
    "Alert",
    "Cause",
    "Change",
    "Claimed",
    "Incident",
    "Key",
    "LastNotification",
    "Message",
    "News",
    "NoiseState",
    "Outcome",
    "Past",
    "PastRun",
    "Reason",
    "Resolution",
    "RuleFacts",
    "Run",
    "Severity",
    "Silence",
    "Tracked",
    "Transition",
    "Triage",
    "TriageAction",
    "UnchangedState",
    "Value",
    "Violation",
    "Watermark",
    "about_file",
    "about_source",
    "beyond_key",
    "decode_values",
    "encode_values",
    "fingerprint",
    "watermark_after",
]
