"""The sentence about measured values that got much worse since the last mail. Pure."""

from sanityd.alerts.compose.sanitize import display_value, escape_hidden
from sanityd.model import News

_LONGEST_VALUE = 60


def worse_values(news: News) -> str:
    """Return which value got how much worse since the last mail; an empty text for none."""
    last = news.last_notification
    if not news.worse or last is None:
        return ""
    mark = news.worse[0]
    value, before = news.measured[mark], last.measured[mark]
    sentence = (
        f"{_subject(news, mark)} is {value:,.12g} and was {before:,.12g} at the last mail, "
        "at least ten times as far from what is right."
    )
    others = len(news.worse) - 1
    if others:
        sentence += f" {others:,} more got as much worse."
    return sentence


def _subject(news: News, mark: str) -> str:
    """Return the row or group of a value; of the whole table, only that it was measured."""
    for row in news.rows:
        if row.fingerprint == mark:
            names = [
                f"{escape_hidden(name, _LONGEST_VALUE)} {display_value(value, _LONGEST_VALUE)}"
                for name, value in row.key.items()
            ]
            return f"The value of {', '.join(names)}"
    return "The measured value"
