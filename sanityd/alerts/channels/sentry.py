"""The channel `sentry`: an issue per rule."""

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, SecretStr, field_validator

from sanityd import telemetry
from sanityd.alerts.base import Channel
from sanityd.alerts.http import post, target
from sanityd.model import Message, Reason
from sanityd.model.option_types import option_error

_LEVELS = {"critical": "fatal", "error": "error", "warning": "warning", "info": "info"}
#: The reasons that become events. An event that says "resolved" would reopen the issue.
_SENT_REASONS = {
    Reason.OPENED.value,
    Reason.ESCALATED.value,
    Reason.ERRORED.value,
    Reason.SOURCE_DOWN.value,
    Reason.RESTORED.value,
    Reason.FLAPPING_STARTED.value,
}


class Sentry(Channel):
    """Creates an issue in Sentry per rule, and an event each time it is violated or gets worse.

        issues: {sentry: "${SENTRY_DSN}", environment: production}

    The rule is the fingerprint of the issue, so a rule that is violated again reopens the same
    issue. A resolved incident is not sent: an event can't resolve an issue, it would reopen it. No
    values of rows are sent.

    An event is delivered when Sentry's server has accepted it; an event that is sent twice has the
    same id.
    """

    kind: ClassVar[str] = "sentry"

    sentry: SecretStr = Field(description="The DSN that Sentry shows for the project; a secret.")
    environment: str = Field("production", description="Sentry's name of the environment.")

    @field_validator("sentry")
    @classmethod
    def _is_a_dsn(cls, value: SecretStr) -> SecretStr:
        try:
            url, _, _ = telemetry.envelope(value.get_secret_value(), {"event_id": "0" * 32})
        except ValueError:
            raise option_error(
                "this is not a DSN of Sentry", "write the one that Sentry shows: `https://…@…/1`"
            ) from None
        target(url)
        return value

    def deliver(self, message: Message) -> None:
        """Send an event for each incident of the message. Raises DeliveryError."""
        incidents: Any = message.data.get("incidents", ())
        for incident in incidents:
            reason = incident.get("event", message.data.get("event"))
            if reason not in _SENT_REASONS:
                continue
            event = self._event(message, incident, str(reason))
            url, headers, body = telemetry.envelope(self.sentry.get_secret_value(), event)
            post(target(url), body, headers)

    def _event(self, message: Message, incident: Mapping[str, Any], reason: str) -> dict[str, Any]:
        rule = str(incident.get("rule", ""))
        title = incident.get("title") or rule
        sentence = incident.get("sentence") or message.subject
        tags = {
            "rule": rule,
            "incident": str(incident.get("incident") or ""),
            "event": reason,
            "source": str(incident.get("source", "")),
            "owner": str(incident.get("owner") or ""),
        }
        identity = hashlib.sha256(f"{message.key} {rule}".encode()).hexdigest()[:32]
        return {
            "event_id": identity,
            "timestamp": message.data.get("at"),
            "platform": "other",
            "logger": "sanityd",
            "level": _LEVELS.get(str(incident.get("severity")), "error"),
            "environment": self.environment,
            "fingerprint": ["sanityd", rule],
            "transaction": rule,
            "message": {"formatted": f"{title}: {sentence}"},
            "tags": {name: text for name, text in tags.items() if text},
            "extra": {
                "violations": incident.get("violations"),
                "checked": incident.get("checked"),
                "opened_at": incident.get("opened_at"),
                "location": incident.get("location"),
                "fix": incident.get("fix"),
            },
        }
