"""The headers of a mail: for threads, against auto-responders, and for filters of mail programs.

All are printable ASCII on one line, whatever the rules file says.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo
from email.utils import format_datetime

from sanityd.alerts.compose.sanitize import ascii_line
from sanityd.model import Alert, Reason, Severity

# The most characters of a header.
_HEADER = 200
# Enough for any thread; some servers refuse longer headers.
_MOST_ROOTS = 20
_ID = re.compile(r"<[A-Za-z0-9.+_-]+@[A-Za-z0-9.-]+>")


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
