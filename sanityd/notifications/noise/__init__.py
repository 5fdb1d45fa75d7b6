"""The noise policy: downgrades rules whose mails nobody acts on, and mutes rules that are flapping.

Pure: what is known of a rule and the time in, decisions out. `judge` decides after each run;
`advice` and `explain` say what people may want to know.

    types.py       what is known of a rule, and what is decided about it
    usual.py       how many violations are usual for it, and when it is worse than usual
    attention.py   how its mails are spared: they come ever more rarely, or the first one waits
    flapping.py    whether it comes and goes too often, by Icinga's score
    signals.py     the numbers that speak for or against a downgrade
    wilson.py      how large the share of mails that people act on may be
    decisions.py   after a run: flapping, then attention, then the downgrade
    advice.py      what people could do, and every number with its threshold

The order in `judge` matters: whether a rule is flapping decides what is compared with the usual,
and whether it is worse than usual decides whether a downgrade ends.

What every policy here keeps to:

- it is explained in one sentence with its numbers;
- `sanityd noise undo` ends it, and no other follows for thirty days;
- it ends at once when the rule is worse than usual, and by itself after some time;
- what is critical is never delayed and never downgraded;
- the rules file is never changed.
"""

from sanityd.model import NoiseState
from sanityd.notifications.noise.advice import advice, explain, suggestion
from sanityd.notifications.noise.attention import footer, is_quiet, sentences
from sanityd.notifications.noise.decisions import awaits_run, effective, judge, undo
from sanityd.notifications.noise.flapping import flap_score
from sanityd.notifications.noise.types import (
    DayPeak,
    Episode,
    NoiseDecision,
    PastRunResult,
    Record,
    SentMail,
)
from sanityd.notifications.noise.usual import daily_peaks
from sanityd.notifications.noise.wilson import wilson_upper

__all__ = [
    "DayPeak",
    "Episode",
    "NoiseDecision",
    "NoiseState",
    "PastRunResult",
    "Record",
    "SentMail",
    "advice",
    "awaits_run",
    "daily_peaks",
    "effective",
    "explain",
    "flap_score",
    "footer",
    "is_quiet",
    "judge",
    "sentences",
    "suggestion",
    "undo",
    "wilson_upper",
]
