"""Repairs that nobody told sanityd of: somebody read the mail and mended the rows. Pure.

Who repairs rows need not acknowledge anything. From outside a repair looks like an incident that
ended by itself, but for one thing: it ended soon after the mail, and much sooner than such
incidents end by themselves, when the next regular job comes.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sanityd.notifications.noise.types import Episode, SentMail

#: A repair follows the first mail within that time.
SOON = timedelta(hours=1)
#: Nothing can be said before so many incidents of the rule ended by themselves.
KNOWN = 5
#: A repaired incident took less than this share of the shortest of those.
SHARE = 0.5


def with_repairs(episodes: Sequence[Episode], sent: Sequence[SentMail]) -> list[Episode]:
    """Return the incidents, those that seem to be repaired as acted on.

    Parameters: both are of one rule, oldest first.
    """
    first_mails: dict[str, datetime] = {}
    for mail in sent:
        first_mails.setdefault(mail.incident, mail.at)
    by_themselves: list[int] = []
    judged = []
    for episode in episodes:
        mailed_at = first_mails.get(episode.incident)
        if episode.by_itself and _is_repaired(episode, mailed_at, by_themselves):
            judged.append(replace(episode, acted=True))
            continue
        if episode.by_itself:
            by_themselves.append(episode.seconds)
        judged.append(episode)
    return judged


def _is_repaired(episode: Episode, mailed_at: datetime | None, before: Sequence[int]) -> bool:
    """Return whether an incident ended soon after its mail, and sooner than those before it."""
    if mailed_at is None or episode.ended is None or len(before) < KNOWN:
        return False
    is_soon = mailed_at < episode.ended <= mailed_at + SOON
    return is_soon and episode.seconds < SHARE * min(before)
