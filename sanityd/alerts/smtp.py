"""One conversation with a mail server, driven verb by verb, so that a failure tells exactly what had happened by then.

The standard library's `sendmail` doesn't say on which side of the final dot a connection broke, and that is the one
question that decides between "send it again" and "it may have arrived". Knows no settings file and no outbox.
"""

import contextlib
import functools
import re
import smtplib
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sanityd.alerts.deadline import Deadline
from sanityd.errors import DeliveryError

_ENHANCED = re.compile(rb"^([245]\.\d{1,3}\.\d{1,3})\b")
# smtplib raises its own errors and the socket's; ValueError comes from its TLS and from a host name that can't be one.
_BROKEN = (smtplib.SMTPException, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class Server:
    """Where mail is handed over, and how.

    `implicit_tls` speaks TLS from the first byte; else `tls` says whether STARTTLS is `required`, used when offered
    (`context` decides whether the certificate must be right), or not used. `timeout` is for each wait, `patience` for
    the whole attempt, both in seconds.
    """

    host: str
    port: int
    implicit_tls: bool
    tls: str
    context: ssl.SSLContext
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    timeout: float = 20.0
    patience: float = 45.0


def send(server: Server, sender: str, recipient: str, mail: bytes) -> None:
    """Hand one mail over for one recipient. Raises DeliveryError.

    A 5xx to the message itself (`from`, `recipient`, `data`, `answer`) is final. What fails before that says nothing
    about the message, so it is worth another attempt: by then somebody may have corrected the password.
    """
    with _connected(server) as smtp:
        utf8 = not (sender + recipient).isascii()
        if utf8 and not smtp.has_extn("smtputf8"):
            raise DeliveryError(
                "the mail server can't take addresses with letters beyond ASCII (no SMTPUTF8)",
                retryable=False,
                stage="recipient",
            )
        options = ["SMTPUTF8", "BODY=8BITMIME"] if utf8 else []
        if smtp.has_extn("size"):
            options.append(f"SIZE={len(mail)}")
        _hand_over(smtp, sender, recipient, mail, options)
        with contextlib.suppress(*_BROKEN):
            smtp.quit()


def _hand_over(
    smtp: smtplib.SMTP, sender: str, recipient: str, mail: bytes, options: Sequence[str]
) -> None:
    with _stage("from"):
        _expect(250, *smtp.mail(sender, options), "from", "the sender was refused")
    with _stage("recipient"):
        _expect(250, *smtp.rcpt(recipient), "recipient", "the recipient was refused")
    with _stage("data"):
        _expect(354, *smtp.docmd("DATA"), "data", "the message was refused")
        smtp.send(_stuffed(mail))
        # The final dot. If even this write fails, the server never got it.
        smtp.send(b".\r\n")
    # From here on the server may have the whole message, whatever we hear of it.
    with _stage("answer", uncertain=True):
        code, answer = smtp.getreply()
        if code < 0:
            raise smtplib.SMTPServerDisconnected
    _expect(250, code, answer, "answer", "the message was refused")


@contextlib.contextmanager
def _connected(server: Server) -> Iterator[smtplib.SMTP]:
    """A session that is greeted, encrypted and logged in, and is cut off when the attempt takes too long."""
    name = _our_name()
    with Deadline(server.patience) as watchdog:
        with _stage("connect"):
            smtp = _Session(server, watchdog, name)
        try:
            with _stage("connect"):
                smtp.ehlo_or_helo_if_needed()
            with _stage("tls"):
                _start_tls(smtp, server)
            with _stage("login"):
                if server.user:
                    smtp.login(server.user, server.password)
            yield smtp
        finally:
            smtp.close()


def _start_tls(smtp: smtplib.SMTP, server: Server) -> None:
    if server.implicit_tls or server.tls == "none":
        return
    if smtp.has_extn("starttls"):
        smtp.starttls(context=server.context)
        smtp.ehlo()
    elif server.tls == "require":
        raise DeliveryError(
            "the mail server offers no encryption (STARTTLS)", retryable=True, stage="tls"
        )


class _Session(smtplib.SMTP):
    """smtplib's session, with one budget of time for all addresses of the host, and TLS from the start if asked for."""

    def __init__(self, server: Server, watchdog: Deadline, name: str) -> None:
        self._server = server
        self._watchdog = watchdog
        super().__init__(server.host, server.port, local_hostname=name, timeout=server.timeout)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        failure: OSError = OSError("no address")
        for *_, target in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            try:
                left = min(timeout, self._watchdog.left())
                connection = socket.create_connection((str(target[0]), port), left)
            except OSError as error:
                failure = error
                continue
            connection.settimeout(timeout)
            return self._watched(connection, host)
        raise failure

    def _watched(self, connection: socket.socket, host: str) -> socket.socket:
        try:
            self._watchdog.watch(connection)
            if not self._server.implicit_tls:
                return connection
            with _stage("tls"):
                return self._server.context.wrap_socket(connection, server_hostname=host)
        except BaseException:
            connection.close()
            raise


@contextlib.contextmanager
def _stage(stage: str, *, uncertain: bool = False) -> Iterator[None]:
    """Whatever breaks inside becomes a DeliveryError of that stage, without the server's own words."""
    try:
        yield
    except smtplib.SMTPResponseException as error:
        answer = error.smtp_error if isinstance(error.smtp_error, bytes) else b""
        raise DeliveryError(
            f"{_FAILURES[stage]} ({_reply(error.smtp_code, answer)})",
            retryable=True,
            stage=stage,
            code=error.smtp_code,
            uncertain=uncertain,
        ) from None
    except _BROKEN as error:
        stage = "tls" if isinstance(error, ssl.SSLError) and stage == "connect" else stage
        why = _why(error)
        raise DeliveryError(
            f"{_FAILURES[stage]}: {why}", retryable=True, stage=stage, uncertain=uncertain
        ) from None


_FAILURES = {
    "connect": "the mail server can't be reached",
    "tls": "the connection to the mail server can't be encrypted",
    "login": "the mail server refused the login",
    "from": "the mail server broke off when it was told the sender",
    "recipient": "the mail server broke off when it was told the recipient",
    "data": "the mail server broke off before it had the whole message",
    "answer": "the mail server got the whole message, but its answer was lost",
}


def _why(error: Exception) -> str:
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
            return "it does not offer what is needed"
        case _:
            return "the connection was lost"


def _expect(wanted: int, code: int, answer: bytes, stage: str, refusal: str) -> None:
    if code // 100 == wanted // 100:
        return
    # -1 is smtplib's word for an answer that isn't one; only a clear 5xx is final.
    final = 500 <= code < 600
    raise DeliveryError(
        f"{refusal} ({_reply(code, answer)})", retryable=not final, stage=stage, code=code
    )


def _reply(code: int, answer: bytes) -> str:
    """The code and the enhanced one; the words after them may quote an address or worse."""
    found = _ENHANCED.match(answer)
    return f"{code} {found[1].decode()}" if found else str(code)


def _stuffed(mail: bytes) -> bytes:
    """With CRLF at the end of each line, and a dot more before each that begins with one (RFC 5321, 4.5.2)."""
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", mail)
    return re.sub(rb"(?m)^\.", b"..", lines if lines.endswith(b"\r\n") else lines + b"\r\n")


@functools.cache
def _our_name() -> str:
    """What we call ourselves. Looked up once: without a name server that takes seconds."""
    name = socket.getfqdn()
    return name if "." in name and name.isascii() else "[127.0.0.1]"
