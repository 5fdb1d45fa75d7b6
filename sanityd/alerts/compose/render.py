"""Alert → Message: the same content as text, as HTML and as data. Adds form, nothing else, and sends nothing.

Alert → the rows to list (`listing.py`) → words (`letter.py`, `wording.py`) → text and HTML (`typesetting.py`)
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta, tzinfo
from functools import partial
from pathlib import Path

from sanityd.alerts.compose.email_view import REMIND, EmailView, Form, email_view, rows_of
from sanityd.alerts.compose.headers import headers, message_id, subject
from sanityd.alerts.compose.json_view import data
from sanityd.model import Alert, Message, Reason

#: Programs that show mails cut what is longer, and its end is where it says how to act.
MOST_BYTES = 90_000
_TIGHTER = (1, 2, 4, 8, 16)


def render(
    alert: Alert,
    *,
    recipient: str,
    zone: tzinfo,
    version: str,
    instance: str = "",
    rows: int = 15,
    templates: Path | None = None,
    remind: Sequence[timedelta] = REMIND,
) -> Message:
    """The message that one recipient gets of an alert.

    Parameters: `zone` is the one in which times are told; `instance` names this sanityd where there are several;
    `rows` is how many are listed at most; `templates` is a folder with the team's own ones; `remind` is when reminders
    come, counted from the news.
    """
    # Most passes write no mail, and templates take as long to import as a small database to look at.
    from sanityd.alerts.compose.templating import typeset

    for tight in _TIGHTER:
        form = Form(zone, version, instance, rows, tuple(remind), tight)
        chosen = rows_of(alert, form)
        letter = email_view(alert, chosen, form)
        text, html = typeset(template_of(alert), partial(_words, letter), templates)
        if len(html.encode()) < MOST_BYTES:
            break
    return Message(
        message_id=message_id(alert.reason, alert.key or recipient, instance),
        channel=alert.channel,
        recipient=recipient,
        subject=subject(alert),
        text=text,
        html=html,
        headers=headers(alert, zone, instance),
        data=data(alert, chosen),
        key=alert.key,
    )


def _words(letter: EmailView, note: str) -> dict[str, object]:
    return {"letter": replace(letter, note=note)}


def template_of(alert: Alert) -> str:
    """The name of its template: that of its reason, or `several` for one that lists incidents."""
    if alert.reason is Reason.SUMMARY or len(alert.news) == 1:
        return alert.reason.value
    return "several"
