"""The headers of a mail about an incident: what threads it, what keeps auto-responders quiet, what people filter by.

All are printable ASCII on one line, whatever the rules file says.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import tzinfo
from email.utils import format_datetime

from sanityd.alerts.safe import ascii_line
from sanityd.model import Alert, Reason

_SUBJECT = 120


def subject(alert: Alert) -> str:
    """State in front, no counts, and a tail that stays: `[ERROR] Every person has a mail (every-person-has-a-mail)`."""
    state = "RESOLVED" if alert.reason is Reason.RESOLVED else alert.incident.severity.label.upper()
    tail = f"({ascii_line(alert.rule.id, 80)})"
    room = _SUBJECT - len(state) - len(tail) - 4
    return f"[{state}] {ascii_line(alert.rule.title, room)} {tail}"


def message_id(alert: Alert, recipient: str, instance: str) -> str:
    """The same for the same news to the same recipient, so that a mail that is sent twice can be told to be one.

    The first mail of an incident carries the root id, which all later ones refer to.
    """
    return f"<{alert.reason.value}.{alert.key[:32]}@{_domain(instance)}>"


def root_id(alert: Alert, recipient: str, instance: str) -> str:
    """The id of the thread. It differs per recipient, as each gets a mail of their own."""
    identity = json.dumps([alert.incident.id, alert.channel, recipient])
    return f"<incident.{hashlib.sha256(identity.encode()).hexdigest()[:32]}@{_domain(instance)}>"


def headers(alert: Alert, recipient: str, zone: tzinfo, instance: str) -> Mapping[str, str]:
    """All but Subject, Message-ID, From and To."""
    fields = {
        "Date": format_datetime(alert.at.astimezone(zone)),
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "OOF, AutoReply",
        "List-Id": f"sanityd alerts <alerts.{_domain(instance)}>",
        "X-Sanityd-Rule": ascii_line(alert.rule.id, 200),
        "X-Sanityd-Incident": ascii_line(alert.incident.id, 100),
        "X-Sanityd-Event": alert.reason.value,
        "X-Sanityd-Severity": alert.incident.severity.label,
    }
    if alert.told is not None:
        root = alert.told.root
        fields |= {"In-Reply-To": root, "References": root}
    return fields


def _domain(instance: str) -> str:
    label = re.sub(r"[^a-z0-9]+", "-", instance.lower()).strip("-")
    return f"{label[:60].rstrip('-')}.sanityd" if label else "alerts.sanityd"
