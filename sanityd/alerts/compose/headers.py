"""The headers of a mail: what threads it, what keeps auto-responders quiet, what people filter by.

All are printable ASCII on one line, whatever the rules file says.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo
from email.utils import format_datetime

from sanityd.alerts.compose import phrases
from sanityd.alerts.compose.sanitize import ascii_line
from sanityd.model import Alert, Reason, Severity

_SUBJECT = 120
_HEADER = 200
# Enough for any thread; some servers refuse longer headers.
_MOST_ROOTS = 20
_ID = re.compile(r"<[A-Za-z0-9.+_-]+@[A-Za-z0-9.-]+>")


def subject(alert: Alert) -> str:
    """State in front, no counts of rows, and a tail that stays: `[ERROR] Every person has a mail (has-a-mail)`."""
    if len(alert.news) == 1 and alert.reason is not Reason.SUMMARY:
        [news] = alert.news
        mark = (
            ", SYSTEMIC"
            if news.incident is not None and news.incident.systemic and news.incident.open
            else ""
        )
        state = f"{phrases.state(news).word.upper()}{mark}"
        if phrases.is_about_source(news):
            return f"[{state}] {ascii_line(phrases.title(news), _SUBJECT - len(state) - 3)}"
        tail = f"({ascii_line(news.rule.id, 80)})"
        return (
            f"[{state}] {ascii_line(news.rule.title, _SUBJECT - len(state) - len(tail) - 4)} {tail}"
        )
    ordered = phrases.ordered(alert.news)
    mark = ", SUMMARY" if alert.reason is Reason.SUMMARY else ""
    titles = ", ".join(phrases.title(news) for news in ordered[:10])
    return ascii_line(
        f"[{phrases.state(ordered[0]).word.upper()}{mark}] {phrases.how_many(ordered)}: {titles}",
        _SUBJECT,
    )


def message_id(reason: Reason, key: str, instance: str) -> str:
    """The same for the same news to the same recipient, so that a mail that is sent twice can be told to be one."""
    if not re.fullmatch(r"[0-9a-f]{32,}", key):
        key = hashlib.sha256(key.encode(errors="replace")).hexdigest()
    return f"<{reason.value}.{key[:32]}@{_domain(instance)}>"


def headers(alert: Alert, zone: tzinfo, instance: str) -> Mapping[str, str]:
    """All but Subject, Message-ID, From and To."""
    about = [news.incident for news in alert.news if news.incident is not None]
    severity = max((incident.severity for incident in about), default=Severity.INFO)
    roots = [
        news.last_notification.root for news in alert.news if news.last_notification is not None
    ]
    fields = {
        **common(alert.at, zone, instance, alert.reason),
        "X-Sanityd-Rule": _several(news.rule.id for news in alert.news),
        "X-Sanityd-Incident": _several(incident.id for incident in about),
        "X-Sanityd-Severity": severity.label,
        **_thread(roots),
    }
    return {name: value for name, value in fields.items() if value}


def common(at: datetime, zone: tzinfo, instance: str, reason: Reason) -> dict[str, str]:
    """What every mail has."""
    return {
        "Date": format_datetime(at.astimezone(zone)),
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "OOF, AutoReply",
        "List-Id": f"sanityd alerts <alerts.{_domain(instance)}>",
        "X-Sanityd-Event": reason.value,
    }


def _thread(roots: Iterable[str]) -> dict[str, str]:
    """What the mail continues: several threads may end in one mail."""
    known = list(
        dict.fromkeys(root for root in roots if _ID.fullmatch(root) and len(root) <= _HEADER)
    )[:_MOST_ROOTS]
    return {"In-Reply-To": known[0], "References": " ".join(known)} if known else {}


def _several(names: Iterable[str]) -> str:
    """As many names as a header has room for, each whole."""
    plain = list(dict.fromkeys(ascii_line(name, _HEADER) for name in names))
    while len(plain) > 1 and len(", ".join(plain)) > _HEADER:
        plain.pop()
    return ", ".join(name for name in plain if name)


def _domain(instance: str) -> str:
    label = re.sub(r"[^a-z0-9]+", "-", instance.lower()).strip("-")
    return f"{label[:60].rstrip('-')}.sanityd" if label else "alerts.sanityd"
