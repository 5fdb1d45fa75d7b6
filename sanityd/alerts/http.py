"""One request to a web server, so that a failure tells exactly what had happened by then; for all channels that post.

A connection of our own rather than a pool: it is known on which side of the last byte it broke, and an answer that
trickles in is cut off. Redirects are not followed: a body with a signature goes to whom it was meant for.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from sanityd import __version__
from sanityd.alerts.deadline import Deadline
from sanityd.errors import DeliveryError
from sanityd.model.option_types import fault

#: How long each wait may take, and the whole attempt, in seconds.
TIMEOUT, PATIENCE = 20.0, 45.0
#: What may be tried again though the server answered: it was busy, or in trouble.
_LATER = (408, 425, 429)
_BROKEN = (HTTPError, HTTPException, OSError, ValueError)
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Target:
    """Where to post to. Made by `target`, which checks it."""

    parts: SplitResult
    ca: Path | None = None

    @property
    def path(self) -> str:
        """What follows the host."""
        return (self.parts.path or "/") + (f"?{self.parts.query}" if self.parts.query else "")

    def below(self, name: str) -> "Target":
        """The address of that name below this one."""
        return replace(
            self, parts=self.parts._replace(path=f"{self.parts.path.rstrip('/')}/{name}")
        )


def target(url: str, ca: Path | None = None) -> Target:
    """Read a URL, which is a secret: no message quotes it. Raises a fault of configuration."""
    advice = "write `https://host/path`"
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        raise fault("this is not a URL of the web", advice) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise fault("this is not a URL of the web", advice)
    if parts.scheme == "http" and parts.hostname not in _LOCAL:
        raise fault("this URL would send everything unencrypted", "write `https://`")
    if parts.username or parts.password:
        raise fault("a URL with a login is not supported", "put the token into `headers`")
    return Target(parts, ca)


def post(to: Target, body: bytes, headers: Mapping[str, str], *, timeout: float = TIMEOUT) -> None:
    """Post once; when this returns, the server has taken it (2xx).

    Raises DeliveryError: `uncertain` when all was sent and the answer was lost; final for an answer that will not get
    better by trying again. It never quotes what the server says.
    """
    _ask(to, "POST", body, headers, timeout=timeout, patience=PATIENCE)


def get(to: Target, *, timeout: float = TIMEOUT) -> None:
    """Ask once, for at most so many seconds; when this returns, the server has answered 2xx. Raises DeliveryError."""
    _ask(to, "GET", None, {}, timeout=timeout, patience=timeout)


def _ask(
    to: Target,
    method: str,
    body: bytes | None,
    headers: Mapping[str, str],
    *,
    timeout: float,
    patience: float,
) -> None:
    with Deadline(patience) as watchdog:
        connection = _connection(to, watchdog, timeout)
        try:
            try:
                connection.connect()
                connection.request(
                    method,
                    to.path,
                    body=body,
                    headers={"User-Agent": f"sanityd/{__version__}", **headers},
                )
            except _BROKEN as error:
                why = f"the server can't be reached: {_why(error)}"
                raise DeliveryError(why, retryable=True, stage="connect") from None
            try:
                status = connection.getresponse().status
            except _BROKEN as error:
                why = f"the server got the whole request, but its answer was lost: {_why(error)}"
                raise DeliveryError(why, retryable=True, uncertain=True, stage="answer") from None
        finally:
            connection.close()
    if 200 <= status < 300:
        return
    raise DeliveryError(
        f"the server refused the request ({status})",
        retryable=status in _LATER or status >= 500,
        stage="answer",
        code=status,
    )


def _connection(to: Target, watchdog: Deadline, timeout: float) -> HTTPConnection:
    host, port = to.parts.hostname or "", to.parts.port

    class Watched(HTTPSConnection if to.parts.scheme == "https" else HTTPConnection):  # type: ignore[misc]
        """A connection that the watchdog can cut off."""

        def _new_conn(self):  # type: ignore[no-untyped-def]
            made = super()._new_conn()
            watchdog.watch(made)
            return made

    if to.parts.scheme == "https":
        context = ssl.create_default_context(cafile=to.ca)
        return Watched(host, port, timeout=timeout, ssl_context=context)
    return Watched(host, port, timeout=timeout)


def _why(error: Exception) -> str:
    """In words of ours; urllib3's own quote the address."""
    cause: BaseException | None = error
    while cause is not None:
        match cause:
            case ssl.SSLCertVerificationError():
                return f"its certificate is not trusted ({cause.verify_message})"
            case ssl.SSLError():
                return "it does not speak TLS as expected"
            case TimeoutError():
                return "it does not answer in time"
            case ConnectionRefusedError():
                return "the connection was refused"
        cause = cause.__cause__ or cause.__context__
    words = {
        "NameResolutionError": "its name can't be found",
        "ConnectTimeoutError": "it does not answer in time",
        "ReadTimeoutError": "it does not answer in time",
    }
    return words.get(type(error).__name__, "the connection was lost")
