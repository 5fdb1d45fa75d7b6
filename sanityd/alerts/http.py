"""One HTTP request with a precise result, for all channels that post to a web server.

Each request has a connection of its own instead of one from a pool: so it is known whether the
request was sent completely before something failed, and an answer that arrives too slowly is cut
off. Redirects are not followed, because a signed body is meant for one server only.
"""

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from sanityd import __version__
from sanityd.alerts.deadline import Deadline
from sanityd.errors import DeliveryError
from sanityd.model.option_types import option_error

#: Time limit in seconds for each wait, and for the whole request.
TIMEOUT, TOTAL_TIMEOUT = 20.0, 45.0
#: 4xx answers after which a later attempt may succeed: timeout, too early, rate limited.
_RETRYABLE_STATUSES = (408, 425, 429)
_CONNECTION_ERRORS = (HTTPException, OSError, ValueError)
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """A URL to send requests to. Made by `target`, which validates it.

    `ca` is a file with certificates to trust instead of the system's.
    """

    parts: SplitResult
    ca: Path | None = None

    @property
    def path(self) -> str:
        """The path and the query, as the request line has them."""
        path = self.parts.path or "/"
        if self.parts.query:
            return f"{path}?{self.parts.query}"
        return path

    def below(self, name: str) -> "Target":
        """Return the target whose path has `name` appended."""
        path = f"{self.parts.path.rstrip('/')}/{name}"
        return replace(self, parts=self.parts._replace(path=path))


def target(url: str, ca: Path | None = None) -> Target:
    """Parse and validate a URL.

    The URL is a secret, so no message quotes it. Raises a configuration fault when it is not a
    web address, has a login in it, or would send data unencrypted to another machine.
    """
    advice = "write `https://host/path`"
    try:
        parts = urlsplit(url.strip())
        # Reading the port validates it.
        _ = parts.port
    except ValueError:
        raise option_error("this is not a URL of the web", advice) from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise option_error("this is not a URL of the web", advice)
    if parts.scheme == "http" and parts.hostname not in _LOCAL_HOSTS:
        raise option_error("this URL would send everything unencrypted", "write `https://`")
    if parts.username or parts.password:
        raise option_error("a URL with a login is not supported", "put the token into `headers`")
    return Target(parts, ca)


def post(to: Target, body: bytes, headers: Mapping[str, str], *, timeout: float = TIMEOUT) -> None:
    """Send one POST request. When this returns, the server has answered 2xx.

    `timeout` limits each wait, in seconds. Raises DeliveryError: `uncertain` when the request was
    sent completely and the answer was lost, not retryable for a status that will not change. Its
    message never quotes the server's answer.
    """
    _request(to, "POST", body, headers, timeout=timeout, total_timeout=TOTAL_TIMEOUT)


def get(to: Target, *, timeout: float = TIMEOUT) -> None:
    """Send one GET request of at most `timeout` seconds. When this returns, the answer was 2xx.

    Raises DeliveryError.
    """
    _request(to, "GET", None, {}, timeout=timeout, total_timeout=timeout)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered. Nothing of it but the status may be shown to people."""

    status: int
    headers: HTTPMessage
    #: At most as many bytes as were asked for, and one more if there were more.
    body: bytes = b""


def exchange(
    to: Target,
    method: str,
    body: bytes | None,
    headers: Mapping[str, str],
    *,
    timeout: float,
    most_bytes: int,
) -> Answer:
    """Send one request and return the answer, whatever its status is.

    Parameters: `timeout` limits all of it, in seconds, and `most_bytes` how much of the body is
    read. Raises DeliveryError: `uncertain` when the request was sent completely and the answer was
    lost.
    """
    return _exchange(
        to, method, body, headers, timeout=timeout, total_timeout=timeout, most_bytes=most_bytes
    )


def _exchange(
    to: Target,
    method: str,
    body: bytes | None,
    headers: Mapping[str, str],
    *,
    timeout: float,
    total_timeout: float,
    most_bytes: int,
) -> Answer:
    all_headers = {"User-Agent": f"sanityd/{__version__}", **headers}
    with Deadline(total_timeout) as deadline:
        connection = _Connection(to, deadline, timeout)
        try:
            try:
                connection.connect()
                connection.request(method, to.path, body=body, headers=all_headers)
            except _CONNECTION_ERRORS as error:
                message = f"the server can't be reached: {_describe(error)}"
                raise DeliveryError(message, retryable=True, stage="connect") from None
            try:
                response = connection.getresponse()
                return Answer(
                    response.status, response.headers, _body(response, most_bytes, deadline)
                )
            except _CONNECTION_ERRORS as error:
                message = (
                    f"the server got the whole request, but its answer was lost: {_describe(error)}"
                )
                raise DeliveryError(
                    message, retryable=True, uncertain=True, stage="answer"
                ) from None
        finally:
            connection.close()


def _body(response: HTTPResponse, most_bytes: int, deadline: Deadline) -> bytes:
    """Return the body up to one byte more than the limit. Raises OSError when it is cut off."""
    if most_bytes == 0:
        return b""
    body = response.read(most_bytes + 1)
    # A connection that the deadline shut down looks like the end of the body.
    deadline.remaining()
    if len(body) <= most_bytes and response.length:
        raise ConnectionError
    return body


def _request(
    to: Target,
    method: str,
    body: bytes | None,
    headers: Mapping[str, str],
    *,
    timeout: float,
    total_timeout: float,
) -> None:
    answer = _exchange(
        to, method, body, headers, timeout=timeout, total_timeout=total_timeout, most_bytes=0
    )
    status = answer.status
    if 200 <= status < 300:
        return
    raise DeliveryError(
        f"the server refused the request ({status})",
        retryable=status in _RETRYABLE_STATUSES or status >= 500,
        stage="answer",
        code=status,
    )


class _Connection(HTTPConnection):
    """An HTTP or HTTPS connection that a deadline can shut down.

    The deadline must know the socket before the TLS handshake, which may hang as well.
    """

    def __init__(self, to: Target, deadline: Deadline, timeout: float) -> None:
        self._deadline = deadline
        self._context: ssl.SSLContext | None = None
        # The base class leaves this port out of the header `Host`.
        self.default_port = _PORTS[to.parts.scheme]
        if to.parts.scheme == "https":
            self._context = ssl.create_default_context(cafile=to.ca)
            self._context.set_alpn_protocols(["http/1.1"])
        super().__init__(to.parts.hostname or "", to.parts.port or self.default_port, timeout)

    def connect(self) -> None:
        """Open the connection, encrypted if the URL says so."""
        self.sock = socket.create_connection((self.host, self.port), self.timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._deadline.watch(self.sock)
        if self._context is not None:
            self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host)


def _describe(error: Exception) -> str:
    """Describe an error without quoting its own text, which may hold the address."""
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
            case socket.gaierror():
                return "its name can't be found"
        cause = cause.__cause__ or cause.__context__
    return "the connection was lost"
