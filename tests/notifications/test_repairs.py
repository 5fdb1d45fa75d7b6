"""A repair that nobody told of is told from what ends by itself."""

from datetime import timedelta

import pytest

from sanityd.notifications.noise import Episode, SentMail
from sanityd.notifications.noise.repairs import with_repairs
from tests.notifications.noise_history import AT, HOUR, MINUTE, ago


def history(
    lasted: timedelta, *, known: int = 5, mailed_after: timedelta | None = timedelta(0)
) -> bool:
    """Whether the last incident was repaired, after so many that ended by themselves in 5 hours."""
    episodes = [
        Episode(f"i{number}", ago(known - number + 1), ago(known - number + 1) + 5 * HOUR)
        for number in range(known)
    ]
    episodes.append(Episode("last", AT, AT + lasted))
    sent = [SentMail(episode.began, episode.incident) for episode in episodes[:-1]]
    if mailed_after is not None:
        sent.append(SentMail(AT + mailed_after, "last"))
    judged = with_repairs(episodes, sent)
    assert [episode.incident for episode in judged] == [episode.incident for episode in episodes]
    assert not any(episode.acted for episode in judged[:-1])
    return judged[-1].acted


def test_what_ends_soon_after_the_mail_and_unusually_soon_was_repaired() -> None:
    assert history(40 * MINUTE)
    assert history(2 * HOUR, mailed_after=90 * MINUTE)


@pytest.mark.parametrize(
    ("lasted", "known", "mailed_after"),
    [
        (5 * HOUR, 5, 4.5 * HOUR),
        (2.6 * HOUR, 5, 2 * HOUR),
        (2 * HOUR, 5, timedelta(0)),
        (40 * MINUTE, 4, timedelta(0)),
        (40 * MINUTE, 5, None),
        (40 * MINUTE, 5, HOUR),
    ],
    ids=["as usual", "nearly as usual", "not soon", "too few", "no mail", "before the mail"],
)
def test_what_ends_by_itself_was_not_repaired(
    lasted: timedelta, known: int, mailed_after: timedelta | None
) -> None:
    assert not history(lasted, known=known, mailed_after=mailed_after)


def test_repairs_do_not_make_the_next_ones_look_usual() -> None:
    episodes = [Episode(f"i{n}", ago(9 - n), ago(9 - n) + 5 * HOUR) for n in range(5)]
    episodes += [Episode(f"r{n}", ago(4 - n), ago(4 - n) + 30 * MINUTE) for n in range(3)]
    sent = [SentMail(episode.began, episode.incident) for episode in episodes]
    assert [episode.acted for episode in with_repairs(episodes, sent)] == [False] * 5 + [True] * 3
