"""One SMTP conversation, run command by command, so that a failure tells what had happened.

The standard library's `sendmail` doesn't say on which side of the final dot a connection broke.
That decides between "send it again" and "it may have arrived". Knows no rules file and no outbox.
"""

import contextlib
import functools
import re
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sanityd.alerts.deadline import Deadline
from sanityd.alerts.smtp_login import log_in
from sanityd.alerts.smtp_replies import EHLO_REFUSED, ReplyError, delivery_error, reply_text
from sanityd.errors import DeliveryError

# smtplib raises its own errors and those of the socket. ValueError comes from its TLS, and from a
# host name that is not valid.
_CONNECTION_ERRORS = (smtplib.SMTPException, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class Server:
    """A mail server and how to talk to it.

    `ehlo` is the name that this machine gives; empty for its own name or address.
    With `implicit_tls` TLS begins with the first byte. Otherwise `tls` decides on STARTTLS:
    `require`, `opportunistic` (used when offered), or `none`. `context` returns the settings of
    TLS, which decide whether the certificate is verified. `timeout` limits each wait,
    `total_timeout` the whole attempt, both in seconds.
    """

    host: str
    port: int
    implicit_tls: bool
    tls: str
    context: Callable[[], ssl.SSLContext]
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    ehlo: str = ""
    timeout: float = 20.0
    total_timeout: float = 45.0


def send(server: Server, sender: str, recipient: str, mail: bytes) -> None:
    """Send one mail to one recipient. Raises DeliveryError.

    A 5xx answer to the message itself (stages `from`, `recipient`, `data`, `answer`) is final. One
    that is about the session (`hello`, `tls`, `login`) is retryable: somebody may correct the
    password in the meantime.
    """
    with _connected(server) as smtp:
        is_ascii = (sender + recipient).isascii()
        options = []
        if not is_ascii:
            if not smtp.has_extn("smtputf8"):
                raise DeliveryError(
                    "the mail server can't take addresses with letters beyond ASCII (no SMTPUTF8)",
                    retryable=False,
                    stage="recipient",
                )
            options += ["SMTPUTF8", "BODY=8BITMIME"]
        if smtp.has_extn("size"):
            options.append(f"SIZE={len(mail)}")
        try:
            _transfer(smtp, sender, recipient, mail, options)
        except ReplyError as error:
            raise delivery_error(error, has_login=bool(server.user)) from None
        with contextlib.suppress(*_CONNECTION_ERRORS):
            smtp.quit()


def _transfer(
    smtp: smtplib.SMTP, sender: str, recipient: str, mail: bytes, options: Sequence[str]
) -> None:
    with _stage("from"):
        code, answer = smtp.mail(sender, options)
        _expect(250, code, answer, "from")
    with _stage("recipient"):
        code, answer = smtp.rcpt(recipient)
        _expect(250, code, answer, "recipient")
    with _stage("data"):
        code, answer = smtp.docmd("DATA")
        _expect(354, code, answer, "data")
        smtp.send(_dot_stuffed(mail))
        # The final dot. If even this write fails, the server never got it.
        smtp.send(b".\r\n")
    # From here on the server may have the whole message, whatever it answers.
    with _stage("answer", uncertain=True):
        code, answer = smtp.getreply()
        if code < 0:
            raise smtplib.SMTPServerDisconnected
    _expect(250, code, answer, "answer")


@contextlib.contextmanager
def _connected(server: Server) -> Iterator[smtplib.SMTP]:
    """Open a session that is encrypted and logged in, and shut it down at its time limit."""
    with Deadline(server.total_timeout) as deadline:
        with _stage("connect"):
            smtp = _Session(server, deadline)
        try:
            with _stage("hello"):
                smtp.local_hostname = server.ehlo or _ehlo_name(smtp.sock)
                smtp.ehlo_or_helo_if_needed()
            with _stage("tls"):
                _start_tls(smtp, server)
            with _stage("login"):
                if server.user:
                    log_in(smtp, server.user, server.password)
            yield smtp
        finally:
            smtp.close()


def _start_tls(smtp: smtplib.SMTP, server: Server) -> None:
    if server.implicit_tls or server.tls == "none":
        return
    if smtp.has_extn("starttls"):
        smtp.starttls(context=server.context())
        smtp.ehlo()
    elif server.tls == "require":
        raise DeliveryError(
            "the mail server offers no encryption (STARTTLS)", retryable=True, stage="tls"
        )


class _Session(smtplib.SMTP):
    """smtplib's session with one time limit for all addresses of the host, and implicit TLS."""

    def __init__(self, server: Server, deadline: Deadline) -> None:
        self._server = server
        self._deadline = deadline
        # The name is not known before there is a connection, whose address it may be.
        super().__init__(server.host, server.port, local_hostname="", timeout=server.timeout)

    def connect(
        self,
        host: str = "localhost",
        port: int = 0,
        source_address: Any = None,
    ) -> tuple[int, bytes]:
        """Connect to the first address of the host that answers, and return the greeting."""
        self.sock = self._open_socket(host, port)
        self.file = None
        return self.getreply()

    def _open_socket(self, host: str, port: int) -> socket.socket:
        failure: OSError = OSError("no address")
        for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            try:
                timeout = min(self._server.timeout, self._deadline.remaining())
                connection = socket.create_connection((str(address[0]), port), timeout)
            except OSError as error:
                failure = error
                continue
            connection.settimeout(self._server.timeout)
            return self._secured(connection, host)
        raise failure

    def _secured(self, connection: socket.socket, host: str) -> socket.socket:
        try:
            self._deadline.watch(connection)
            if not self._server.implicit_tls:
                return connection
            with _stage("tls"):
                return self._server.context().wrap_socket(connection, server_hostname=host)
        except BaseException:
            connection.close()
            raise


@contextlib.contextmanager
def _stage(stage: str, *, uncertain: bool = False) -> Iterator[None]:
    """Turn any error inside into a DeliveryError of that stage, without the server's own text."""
    try:
        yield
    except smtplib.SMTPResponseException as error:
        answer = error.smtp_error if isinstance(error.smtp_error, bytes) else b""
        refusal = _REFUSALS.get(stage, _FAILURES[stage])
        raise DeliveryError(
            f"{refusal} ({reply_text(error.smtp_code, answer)})",
            retryable=True,
            stage=stage,
            code=error.smtp_code,
            uncertain=uncertain,
        ) from None
    except _CONNECTION_ERRORS as error:
        if isinstance(error, ssl.SSLError) and stage == "connect":
            stage = "tls"
        message = f"{_FAILURES[stage]}: {_describe(error)}"
        raise DeliveryError(message, retryable=True, stage=stage, uncertain=uncertain) from None


_FAILURES = {
    "connect": "the mail server can't be reached",
    "hello": "the mail server broke off after the command EHLO",
    "tls": "the connection to the mail server can't be encrypted",
    "login": "the mail server refused the login",
    "from": "the mail server broke off after the command MAIL FROM",
    "recipient": "the mail server broke off after the command RCPT TO",
    "data": "the mail server broke off before it had the whole message",
    "answer": "the mail server got the whole message, but its answer was lost",
}
_REFUSALS = {
    "connect": "the mail server turned the connection away",
    "hello": EHLO_REFUSED,
}


def _describe(error: Exception) -> str:
    match error:
        case TimeoutError():
            return "it does not answer in time"
        case ConnectionRefusedError():
            return "the connection was refused"
        case socket.gaierror():
            return "its name can't be found"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({error.verify_message})"
        case ssl.SSLError():
            return "it does not speak TLS as expected"
        case smtplib.SMTPServerDisconnected():
            return "the connection was lost or timed out"
        case smtplib.SMTPException() | ValueError():
            return "it does not support what is needed"
        case _:
            return "the connection was lost"


def _expect(expected: int, code: int, answer: bytes, stage: str) -> None:
    """Raise ReplyError unless the code is of the same class (2xx, 3xx) as the expected one."""
    if code // 100 != expected // 100:
        raise ReplyError(code, answer, stage)


def _dot_stuffed(mail: bytes) -> bytes:
    """Return the mail with CRLF line ends, and leading dots doubled (RFC 5321, 4.5.2)."""
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", mail)
    if not lines.endswith(b"\r\n"):
        lines += b"\r\n"
    return re.sub(rb"(?m)^\.", b"..", lines)


def _ehlo_name(connection: socket.socket | None) -> str:
    """Return the full name of this machine, or the address of its end of the connection."""
    name = _local_hostname()
    if name or connection is None:
        return name or "[127.0.0.1]"
    address = str(connection.getsockname()[0]).partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


@functools.cache
def _local_hostname() -> str:
    """Return the full name of this machine, or an empty text without one.

    Cached: without a name server the lookup takes seconds.
    """
    name = socket.getfqdn()
    if "." in name and name.isascii() and not name.startswith("localhost"):
        return name
    return ""
