"""The headers of a mail: for threads, against auto-responders, and for filters of mail programs.

All are printable ASCII on one line, whatever the rules file says.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo
from email.utils import format_datetime

from sanityd.alerts.compose.phrases import count_of_incidents
from sanityd.alerts.compose.sanitize import ascii_line
from sanityd.alerts.compose.state import by_severity, is_about_source, state, title
from sanityd.model import Alert, News, Reason, Severity

# The most characters of a subject, and of any other header.
_SUBJECT = 120
_HEADER = 200
# Enough for any thread; some servers refuse longer headers.
_MOST_ROOTS = 20
_ID = re.compile(r"<[A-Za-z0-9.+_-]+@[A-Za-z0-9.-]+>")


def subject(alert: Alert) -> str:
    """Return the subject: `[ERROR] Every person has a mail (has-a-mail)`.

    The state comes first. There are no counts of rows, and the end is stable, so that mail programs
    keep the mails of an incident in one thread.
    """
    if len(alert.news) == 1 and alert.reason is not Reason.SUMMARY:
        return _subject_of_one(alert.news[0])
    ordered = by_severity(alert.news)
    state_word = state(ordered[0]).word.upper()
    if alert.reason is Reason.SUMMARY:
        state_word += ", SUMMARY"
    titles = ", ".join(title(news) for news in ordered[:10])
    return ascii_line(f"[{state_word}] {count_of_incidents(ordered)}: {titles}", _SUBJECT)


def _subject_of_one(news: News) -> str:
    state_word = state(news).word.upper()
    if news.incident is not None and news.incident.systemic and news.incident.open:
        state_word += ", SYSTEMIC"
    if is_about_source(news):
        return f"[{state_word}] {ascii_line(title(news), _SUBJECT - len(state_word) - 3)}"
    tail = f"({ascii_line(news.rule.id, 80)})"
    rule_title = ascii_line(news.rule.title, _SUBJECT - len(state_word) - len(tail) - 4)
    return f"[{state_word}] {rule_title} {tail}"


def message_id(reason: Reason, key: str, instance: str) -> str:
    """Return the Message-ID. It follows from the key, so a mail that is sent twice has the same."""
    if not re.fullmatch(r"[0-9a-f]{32,}", key):
        key = hashlib.sha256(key.encode(errors="replace")).hexdigest()
    return f"<{reason.value}.{key[:32]}@{_domain(instance)}>"


def headers(alert: Alert, zone: tzinfo, instance: str) -> Mapping[str, str]:
    """Return all headers but Subject, Message-ID, From and To."""
    incidents = [news.incident for news in alert.news if news.incident is not None]
    severity = max((incident.severity for incident in incidents), default=Severity.INFO)
    roots = [
        news.last_notification.root for news in alert.news if news.last_notification is not None
    ]
    fields = {
        **common(alert.at, zone, instance, alert.reason),
        "X-Sanityd-Rule": _joined(news.rule.id for news in alert.news),
        "X-Sanityd-Incident": _joined(incident.id for incident in incidents),
        "X-Sanityd-Severity": severity.label,
        **_thread(roots),
    }
    return {name: value for name, value in fields.items() if value}


def common(at: datetime, zone: tzinfo, instance: str, reason: Reason) -> dict[str, str]:
    """Return the headers that every mail and digest has."""
    return {
        "Date": format_datetime(at.astimezone(zone)),
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "OOF, AutoReply",
        "List-Id": f"sanityd alerts <alerts.{_domain(instance)}>",
        "X-Sanityd-Event": reason.value,
    }


def _thread(roots: Iterable[str]) -> dict[str, str]:
    """Return the headers that continue the threads of the incidents of a mail."""
    unique = dict.fromkeys(roots)
    valid = [root for root in unique if _ID.fullmatch(root) and len(root) <= _HEADER]
    if not valid:
        return {}
    return {"In-Reply-To": valid[0], "References": " ".join(valid[:_MOST_ROOTS])}


def _joined(names: Iterable[str]) -> str:
    """Return as many whole names as a header has room for."""
    texts = list(dict.fromkeys(ascii_line(name, _HEADER) for name in names))
    joined = ", ".join(texts[:1])
    for text in texts[1:]:
        if len(joined) + len(", ") + len(text) > _HEADER:
            break
        joined = f"{joined}, {text}" if joined and text else joined or text
    return joined


def _domain(instance: str) -> str:
    label = re.sub(r"[^a-z0-9]+", "-", instance.lower()).strip("-")
    if not label:
        return "alerts.sanityd"
    return f"{label[:60].rstrip('-')}.sanityd"
