"""The noise policy: downgrades rules whose mails nobody acts on, and mutes rules that are flapping.

Pure: what is known of a rule and the time in, decisions out. `judge` decides after each run;
`advice` and `explain` say what people may want to know.
"""

from sanityd.model import NoiseState
from sanityd.notifications.noise.advice import advice, explain, suggestion
from sanityd.notifications.noise.decisions import effective, judge, undo
from sanityd.notifications.noise.flapping import flap_score
from sanityd.notifications.noise.types import (
    Episode,
    NoiseDecision,
    PastRunResult,
    Record,
    SentMail,
)
from sanityd.notifications.noise.wilson import wilson_upper

__all__ = [
    "Episode",
    "NoiseDecision",
    "NoiseState",
    "PastRunResult",
    "Record",
    "SentMail",
    "advice",
    "effective",
    "explain",
    "flap_score",
    "judge",
    "suggestion",
    "undo",
    "wilson_upper",
]
