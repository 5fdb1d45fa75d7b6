"""The channel `sentry`: an issue per rule."""

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, SecretStr, field_validator

from sanityd import telemetry
from sanityd.alerts.base import Channel
from sanityd.alerts.http import post, target
from sanityd.model import Message, Reason
from sanityd.model.option_types import fault

_LEVELS = {"critical": "fatal", "error": "error", "warning": "warning", "info": "info"}
#: What Sentry is told. An event of the same issue that says "resolved" would open it again.
_TOLD = {
    Reason.OPENED.value,
    Reason.ESCALATED.value,
    Reason.ERRORED.value,
    Reason.SOURCE_DOWN.value,
    Reason.RESTORED.value,
    Reason.FLAPPING_STARTED.value,
}


class Sentry(Channel):
    """An issue in Sentry for each rule, with an event for each time that it is violated or gets worse.

        issues: {sentry: "${SENTRY_DSN}", environment: production}

    An issue is known by its rule (`fingerprint`), so that a rule that breaks again opens the same one. That it holds
    again is not told: Sentry can't resolve an issue by an event, and would open it anew. No values of rows are sent.

    An event counts as delivered when Sentry's server has answered that it took it; one that is sent twice has one id.
    """

    kind: ClassVar[str] = "sentry"

    sentry: SecretStr = Field(description="The DSN that Sentry shows for the project; a secret.")
    environment: str = Field("production", description="What Sentry calls the environment.")

    @field_validator("sentry")
    @classmethod
    def _is_a_dsn(cls, value: SecretStr) -> SecretStr:
        try:
            url, _, _ = telemetry.envelope(value.get_secret_value(), {"event_id": "0" * 32})
        except ValueError:
            raise fault(
                "this is not a DSN of Sentry", "write the one that Sentry shows: `https://…@…/1`"
            ) from None
        target(url)
        return value

    def deliver(self, message: Message) -> None:
        """Post an event for each rule that the message tells of. Raises DeliveryError."""
        incidents: Any = message.data.get("incidents", ())
        for one in incidents:
            if one.get("event", message.data.get("event")) in _TOLD:
                url, headers, body = telemetry.envelope(
                    self.sentry.get_secret_value(), self._event(message, one)
                )
                post(target(url), body, headers)

    def _event(self, message: Message, one: Mapping[str, Any]) -> dict[str, Any]:
        rule, source = str(one.get("rule", "")), str(one.get("source", ""))
        tags = {
            "rule": rule,
            "incident": str(one.get("incident") or ""),
            "event": str(one.get("event", message.data.get("event"))),
            "source": source,
            "owner": str(one.get("owner") or ""),
        }
        identity = hashlib.sha256(f"{message.key} {rule}".encode()).hexdigest()[:32]
        return {
            "event_id": identity,
            "timestamp": message.data.get("at"),
            "platform": "other",
            "logger": "sanityd",
            "level": _LEVELS.get(str(one.get("severity")), "error"),
            "environment": self.environment,
            "fingerprint": ["sanityd", rule],
            "transaction": rule,
            "message": {
                "formatted": f"{one.get('title') or rule}: {one.get('sentence') or message.subject}"
            },
            "tags": {name: text for name, text in tags.items() if text},
            "extra": {
                name: one.get(name)
                for name in ("violations", "checked", "opened_at", "location", "fix")
            },
        }
