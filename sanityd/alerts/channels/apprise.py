"""The channel `apprise`: chats, pagers and a hundred other services."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any, ClassVar, Self

from pydantic import Field, SecretStr, model_validator

from sanityd.alerts.base import Channel
from sanityd.errors import DeliveryError
from sanityd.model import Message
from sanityd.model.option_types import fault


class Apprise(Channel):
    """Tells any service that Apprise knows: Slack, Teams, Telegram, Matrix, PagerDuty, ntfy and many more.

        chat: {apprise: "${CHAT_URL}"}

    `apprise` is one of Apprise's URLs (github.com/caronc/apprise), or a list of them; they are secrets, so take them
    from the environment. Needs `pip install 'sanityd[apprise]'`. The service gets the subject and the text of a mail.

    Warning: Apprise only says whether it worked. What failed is tried again, so that a service may be told twice when
    its answer was lost.
    """

    kind: ClassVar[str] = "apprise"

    apprise: SecretStr | list[SecretStr] = Field(
        description="One of Apprise's URLs, or several; they are secrets."
    )

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        library = _apprise()
        with _quietly():
            if not self._urls() or not all(
                url and library.Apprise().add(url) for url in self._urls()
            ):
                raise fault(
                    "this is not a URL that Apprise knows",
                    "see its list of services, and their URLs",
                )
        return self

    def deliver(self, message: Message) -> None:
        """Tell all services. Raises DeliveryError, always worth another attempt."""
        library = _apprise()
        told = library.Apprise()
        kinds = {"resolved": library.NotifyType.SUCCESS, "opened": library.NotifyType.FAILURE}
        kind = kinds.get(str(message.data.get("event")), library.NotifyType.WARNING)
        with _quietly():
            for url in self._urls():
                told.add(url)
            done = told.notify(
                title=message.subject,
                body=message.text,
                notify_type=kind,
                body_format=library.NotifyFormat.TEXT,
            )
        if not done:
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
        raise fault("Apprise isn't installed", "pip install 'sanityd[apprise]'") from None
    return apprise


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Apprise logs the URLs that it is given, which are secrets."""
    logger = logging.getLogger("apprise")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before
