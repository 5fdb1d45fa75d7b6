"""An alert as a message: the same content as text, as HTML and as JSON. Sends nothing.

The steps: select the rows to list (`rows_table`), write the texts (`email_view` with `state`,
`phrases` and `facts`), render the templates (`templating`).
"""

from dataclasses import replace
from datetime import tzinfo
from functools import partial
from pathlib import Path

from sanityd.alerts.compose.email_view import (
    EmailView,
    RenderOptions,
    email_view,
    listed_rows,
)
from sanityd.alerts.compose.headers import headers, message_id
from sanityd.alerts.compose.json_view import data
from sanityd.alerts.compose.subject import subject
from sanityd.model import Alert, Message, Reason

#: Mail programs cut longer mails, and the commands stand at the end.
MOST_BYTES = 90_000
_SHRINK_STEPS = (1, 2, 4, 8, 16)


def render(
    alert: Alert,
    *,
    recipient: str,
    zone: tzinfo,
    version: str,
    instance: str = "",
    rows: int = 15,
    templates: Path | None = None,
) -> Message:
    """Return the message that one recipient gets about an alert.

    Parameters: `zone` is the time zone of its times; `instance` names this sanityd if there are
    several; `rows` is the most rows that are listed; `templates` is the folder with the user's own
    templates.
    """
    # Most runs write no mail, and importing Jinja takes as long as checking a small database.
    from sanityd.alerts.compose.templating import render_templates

    for shrink in _SHRINK_STEPS:
        options = RenderOptions(zone, version, instance, rows, shrink)
        listed = listed_rows(alert, options)
        variables = partial(_variables, email_view(alert, listed, options))
        text, html = render_templates(template_name(alert), variables, templates)
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
        data=data(alert, listed),
        key=alert.key,
    )


def _variables(view: EmailView, note: str) -> dict[str, object]:
    return {"letter": replace(view, note=note)}


def template_name(alert: Alert) -> str:
    """Return the name of its template: that of its reason, or `several` for several incidents."""
    if alert.reason is Reason.SUMMARY or len(alert.news) == 1:
        return alert.reason.value
    return "several"
