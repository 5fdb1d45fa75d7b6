"""The nouns of sanityd: frozen, without behaviour of their own beyond what follows from their fields.

Imports nothing of ours. Rooms hand these to each other; `pipeline.py` is where they meet.
"""

from sanityd.model.incidents import (
    Cause,
    Disposition,
    Incident,
    Reason,
    Silence,
    Stance,
    Standing,
    Told,
    about_file,
    about_source,
)
from sanityd.model.looks import (
    Change,
    Fate,
    Held,
    Key,
    Outcome,
    Past,
    Run,
    Severity,
    Tracked,
    Transition,
    Value,
    Violation,
    decode_values,
    encode_values,
    fingerprint,
)
from sanityd.model.messages import Alert, Claimed, Message, News, PastRun, RuleFacts
from sanityd.model.watermark import OVERLAP, Watermark, watermark_after

__all__ = [
    "OVERLAP",
    "Alert",
    "Cause",
    "Change",
    "Claimed",
    "Disposition",
    "Fate",
    "Held",
    "Incident",
    "Key",
    "Message",
    "News",
    "Outcome",
    "Past",
    "PastRun",
    "Reason",
    "RuleFacts",
    "Run",
    "Severity",
    "Silence",
    "Stance",
    "Standing",
    "Told",
    "Tracked",
    "Transition",
    "Value",
    "Violation",
    "Watermark",
    "about_file",
    "about_source",
    "decode_values",
    "encode_values",
    "fingerprint",
    "watermark_after",
]
