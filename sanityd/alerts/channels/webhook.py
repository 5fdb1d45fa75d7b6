"""The channel `webhook`: a signed POST to a program."""

import base64
import binascii
import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from sanityd import clock
from sanityd.alerts.base import Channel
from sanityd.alerts.http import post, target
from sanityd.model import Message
from sanityd.model.option_types import option_error

_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
#: Headers that the channel sets itself.
_RESERVED_HEADERS = {"content-type", "content-length", "host", "idempotency-key", "user-agent"}


class Webhook(Channel):
    """Posts the content of a mail to a program, as JSON.

        ops-hook: {webhook: "${HOOK_URL}", secret: "${HOOK_SECRET}"}

    The URL is a secret, so take it from the environment; it must be `https://`, or on this machine.
    The body has `type` (`opened`, `resolved` and so on), `id`, `subject`, `text`, and `incidents`
    with their rule, severity, numbers and rows. `Idempotency-Key` is the same at each attempt to
    deliver a message, so the receiver can recognise one that it has processed already.

    With a `secret` the request is signed according to Standard Webhooks (standardwebhooks.com):
    `webhook-id`, `webhook-timestamp`, and `webhook-signature: v1,` with the HMAC-SHA256 of
    `id.timestamp.body`. A secret that begins with `whsec_` is decoded as base64. `headers` are
    added to the request, for tokens; `ca` is a file with certificates to trust.

    Any 2xx answer means that the message is delivered. After 408, 425, 429 and 5xx it is sent
    again, with growing delays; any other answer is final. Redirects are not followed.
    """

    kind: ClassVar[str] = "webhook"

    webhook: SecretStr = Field(description="The URL: `https://`, or on this machine; a secret.")
    secret: SecretStr | None = Field(
        None, description="Signs each request, according to Standard Webhooks."
    )
    headers: dict[str, SecretStr] = Field(
        {},
        description="More headers, as `Authorization`.",
        examples=[{"Authorization": "Bearer ${HOOK_TOKEN}"}],
    )
    ca: Path | None = Field(
        None,
        description="A file with certificates to trust.",
        examples=["/etc/ssl/certs/our-own-ca.pem"],
    )

    @field_validator("ca")
    @classmethod
    def _relative_to_rules_file(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is None:
            return None
        return Path((info.context or {}).get("folder", "")) / value

    @field_validator("headers")
    @classmethod
    def _are_valid_headers(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, text in value.items():
            if not _is_allowed_header(name):
                raise option_error(
                    f"`{name}` can't be a header of this channel",
                    "name another, as `Authorization`",
                )
            content = text.get_secret_value()
            if not content.isascii() or not content.isprintable():
                raise option_error(
                    f"the header `{name}` has letters that headers can't have", "write plain ASCII"
                )
        return value

    @model_validator(mode="after")
    def _has_valid_url_and_secret(self) -> Self:
        target(self.webhook.get_secret_value(), self.ca)
        self._key()
        return self

    def deliver(self, message: Message) -> None:
        """Post the message once. Raises DeliveryError."""
        content: dict[str, object] = {
            "id": message.key,
            "type": str(message.data.get("event", "")),
            "subject": message.subject,
            "text": message.text,
        }
        content |= {name: value for name, value in message.data.items() if name != "event"}
        body = json.dumps(content, ensure_ascii=True).encode()
        headers = {name: text.get_secret_value() for name, text in self.headers.items()}
        headers["Content-Type"] = "application/json"
        headers["Idempotency-Key"] = message.key
        headers |= self._signature(message, body)
        post(target(self.webhook.get_secret_value(), self.ca), body, headers)

    def _signature(self, message: Message, body: bytes) -> dict[str, str]:
        """Return the headers of Standard Webhooks; none when there is no secret."""
        key = self._key()
        if key is None:
            return {}
        timestamp = str(int(clock.now().timestamp()))
        content = f"{message.key}.{timestamp}.".encode() + body
        signature = hmac.new(key, content, hashlib.sha256).digest()
        return {
            "webhook-id": message.key,
            "webhook-timestamp": timestamp,
            "webhook-signature": "v1," + base64.b64encode(signature).decode(),
        }

    def _key(self) -> bytes | None:
        if self.secret is None:
            return None
        text = self.secret.get_secret_value()
        if not text.startswith("whsec_"):
            return text.encode()
        try:
            return base64.b64decode(text.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            raise option_error(
                "`secret` begins with `whsec_`, but is no base64", "copy it as it was given to you"
            ) from None


def _is_allowed_header(name: str) -> bool:
    if not _HEADER.fullmatch(name):
        return False
    return name.lower() not in _RESERVED_HEADERS and not name.lower().startswith("webhook-")
