"""The channel `apprise`: chats, pagers and a hundred other services."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any, ClassVar, Self

from pydantic import Field, SecretStr, model_validator

from sanityd.alerts.base import Channel
from sanityd.errors import DeliveryError
from sanityd.model import Message
from sanityd.model.option_types import option_error


class Apprise(Channel):
    """Notifies any service that Apprise supports: Slack, Teams, Telegram, PagerDuty and many more.

        chat: {apprise: "${CHAT_URL}"}

    `apprise` is an Apprise URL (github.com/caronc/apprise), or a list of them. The URLs are
    secrets, so take them from the environment. Needs `pip install 'sanityd[apprise]'`. The service
    gets the subject and the text of a mail.

    Warning: Apprise only reports success or failure. A failed message is sent again to all
    services, so a service may get it twice.
    """

    kind: ClassVar[str] = "apprise"

    apprise: SecretStr | list[SecretStr] = Field(
        description="An Apprise URL, or several; they are secrets."
    )

    @model_validator(mode="after")
    def _has_valid_urls(self) -> Self:
        library = _apprise()
        with _silenced_log():
            urls = self._urls()
            is_valid = bool(urls)
            for url in urls:
                if not url or not library.Apprise().add(url):
                    is_valid = False
            if not is_valid:
                raise option_error(
                    "this is not a URL that Apprise knows",
                    "see its list of services, and their URLs",
                )
        return self

    def deliver(self, message: Message) -> None:
        """Notify all services. Raises DeliveryError, always retryable."""
        library = _apprise()
        services = library.Apprise()
        types = {"resolved": library.NotifyType.SUCCESS, "opened": library.NotifyType.FAILURE}
        notify_type = types.get(str(message.data.get("event")), library.NotifyType.WARNING)
        with _silenced_log():
            for url in self._urls():
                services.add(url)
            succeeded = services.notify(
                title=message.subject,
                body=message.text,
                notify_type=notify_type,
                body_format=library.NotifyFormat.TEXT,
            )
        if not succeeded:
            raise DeliveryError(
                "at least one of its services did not take the message",
                retryable=True,
                stage="data",
            )

    def _urls(self) -> list[str]:
        urls = self.apprise if isinstance(self.apprise, list) else [self.apprise]
        return [url.get_secret_value() for url in urls]


def _apprise() -> Any:
    try:
        import apprise
    except ImportError:
        raise option_error("Apprise isn't installed", "pip install 'sanityd[apprise]'") from None
    return apprise


@contextlib.contextmanager
def _silenced_log() -> Iterator[None]:
    """Disable Apprise's log: it holds the URLs, which are secrets."""
    logger = logging.getLogger("apprise")
    was_disabled = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = was_disabled
