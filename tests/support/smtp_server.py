"""Mail servers on the loopback interface: one that works, with TLS and logins, and one that
misbehaves as told."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "sanity", "s3cret/@#"


@dataclass
class Mailbox:
    """What a server took, and where it listens."""

    port: int = 0
    mails: list[tuple[str, EmailMessage]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    #: The names that clients gave in EHLO.
    names: list[str] = field(default_factory=list)
    #: The login that is right.
    user: str = USER
    password: str = PASSWORD
    #: Replies to RCPT by address, for those that are refused.
    refuse: dict[str, str] = field(default_factory=dict)
    #: How many conversations go on.
    talks: int = 0

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, name: str, replies: list[str]
    ) -> list[str]:
        session.host_name = name
        self.names.append(name)
        return replies

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, to: str, options: list[str]
    ) -> str:
        if to in self.refuse:
            return self.refuse[to]
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = cast(bytes, envelope.content)
        self.raw.append(content)
        self.senders.append(str(envelope.mail_from))
        assert server.transport is not None
        self.encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        mail = message_from_bytes(content, policy=policy.default)
        self.mails += [(address, mail) for address in envelope.rcpt_tos]
        return "250 2.0.0 taken"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, kind: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login.decode())
        good = data.login.decode() == self.user and data.password.decode() == self.password
        return AuthResult(success=good, handled=False)


class _Counted(SMTP):
    """Knows how many clients are there, so that a test can wait until what a dead one sent is
    read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Again after STARTTLS, which is no new conversation.
        self.event_handler.talks += self.session is None
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.event_handler.talks -= 1


@contextlib.contextmanager
def working(
    tls: ssl.SSLContext | None = None,
    *,
    implicit: bool = False,
    login: bool = False,
    utf8: bool = False,
    user: str = USER,
    password: str = PASSWORD,
) -> Iterator[Mailbox]:
    """A real server that takes mail. `tls` offers STARTTLS, or TLS from the first byte where
    `implicit`."""
    box = Mailbox(user=user, password=password)

    def session() -> SMTP:
        return _Counted(
            box,
            hostname="mail.test",
            tls_context=None if implicit else tls,
            authenticator=box.authenticate if login else None,
            # aiosmtpd knows encryption by STARTTLS only, and warns of a demand for logins without.
            auth_required=login and not implicit,
            auth_require_tls=not implicit,
            enable_SMTPUTF8=utf8,
        )

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(
        loop.create_server(session, "127.0.0.1", 0, ssl=tls if implicit else None)
    )
    box.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield box
    finally:
        asyncio.run_coroutine_threadsafe(_stop(server), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


async def _stop(server: asyncio.Server) -> None:
    server.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    # One turn of the loop, in which closed connections say goodbye.
    await asyncio.sleep(0)


#: What a misbehaving server does instead of answering.
HANG, DROP, DRIP = "hang", "drop", "drip"


@dataclass
class Script:
    """A server that answers each verb as told: a reply, HANG, DROP or DRIP. `body` counts what came
    after DATA."""

    answers: Mapping[str, str]
    port: int = 0
    body: bytes = b""
    verbs: list[str] = field(default_factory=list)


_USUAL = {
    "connect": "220 ready",
    "ehlo": "250-mail.test\r\n250 SIZE 1000000",
    "mail": "250 ok",
    "rcpt": "250 ok",
    "data": "354 go on",
    "body": "",
    "dot": "250 taken",
    "quit": "221 bye",
}


@contextlib.contextmanager
def scripted(**answers: str) -> Iterator[Script]:
    """A raw socket that speaks just enough SMTP. Verbs: connect, ehlo, mail, rcpt, data, body, dot,
    quit.

    `body=DROP` breaks off as soon as the first bytes of the mail have come; `dot` is the answer to the final dot.
    """
    script = Script({**_USUAL, **answers})
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        script.port = listener.getsockname()[1]
        thread = threading.Thread(target=_serve, args=(listener, script, ended))
        thread.start()
        try:
            yield script
        finally:
            ended.set()
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", script.port), 1).close()
            thread.join(5)


def _serve(listener: socket.socket, script: Script, ended: threading.Event) -> None:
    while not ended.is_set():
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            if not ended.is_set():
                _converse(connection, script, ended)


def _converse(connection: socket.socket, script: Script, ended: threading.Event) -> None:
    with connection.makefile("rb") as stream:
        if not _answer(connection, script, "connect", ended):
            return
        for line in stream:
            verb = line[:4].decode("latin-1").strip().lower()
            script.verbs.append(verb)
            if not _answer(connection, script, verb, ended) or verb == "quit":
                return
            if verb == "data" and not _take(connection, stream, script, ended):
                return


def _take(connection: socket.socket, stream: Any, script: Script, ended: threading.Event) -> bool:
    if not script.answers["data"].startswith("354"):
        return True
    for line in stream:
        if script.answers["body"] == DROP:
            return False
        if line == b".\r\n":
            return _answer(connection, script, "dot", ended)
        script.body += line
    return False


def _answer(connection: socket.socket, script: Script, verb: str, ended: threading.Event) -> bool:
    answer = script.answers.get(verb, "502 what?")
    if answer == HANG:
        ended.wait(10)
    elif answer == DRIP:
        while not ended.wait(0.05):
            connection.sendall(b"2")
    elif answer != DROP:
        connection.sendall(answer.encode() + b"\r\n")
        return not answer.startswith("421")
    return False
