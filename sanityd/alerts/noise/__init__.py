"""When a rule's mails are noise: flapping, or acted on by nobody. Pure: what is known and the time in, decisions out.

`judge` decides after each run; `advice` and `explain` say what people may want to know.
"""

from sanityd.alerts.noise.advice import advice, explain, suggestion
from sanityd.alerts.noise.decisions import effective, judge, undo
from sanityd.alerts.noise.flapping import flap_score
from sanityd.alerts.noise.nouns import Episode, Look, Record, Sent, Verdict
from sanityd.alerts.noise.wilson import wilson_upper
from sanityd.model import Standing

__all__ = [
    "Episode",
    "Look",
    "Record",
    "Sent",
    "Standing",
    "Verdict",
    "advice",
    "effective",
    "explain",
    "flap_score",
    "judge",
    "suggestion",
    "undo",
    "wilson_upper",
]
