"""A web server on the loopback interface that takes requests, and misbehaves as told."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

#: What a server may do instead of answering a status, besides a whole answer: hang up before it has
#: read, hang up afterwards, or answer a byte a second.
DROP_FIRST, DROP, DRIP = "drop first", "drop", "drip"


@dataclass
class Request:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """Where it listens, what it got, and what it answers: a status for each request in turn, the
    last one for ever."""

    port: int = 0
    got: list[Request] = field(default_factory=list)
    answers: list[int | str] = field(default_factory=lambda: [200])
    #: More headers of every answer.
    headers: str = ""
    #: How long it takes to answer, in seconds.
    delay: float = 0


@contextlib.contextmanager
def serving(
    *answers: int | str, tls: ssl.SSLContext | None = None, headers: str = ""
) -> Iterator[Server]:
    """A running server."""
    server = Server(answers=list(answers) or [200], headers=headers)
    listener = socket.create_server(("127.0.0.1", 0))
    server.port = listener.getsockname()[1]
    threading.Thread(target=_accept, args=(server, listener, tls), daemon=True).start()
    try:
        yield server
    finally:
        listener.close()


def _accept(server: Server, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with contextlib.suppress(OSError):
            connection.settimeout(10)
            if tls is not None:
                connection = tls.wrap_socket(connection, server_side=True)
            _answer(server, connection)
        connection.close()


def _answer(server: Server, connection: socket.socket) -> None:
    answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
    if answer == DROP_FIRST:
        return
    server.got.append(_read(connection))
    time.sleep(server.delay)
    if answer == DROP:
        return
    if answer == DRIP:
        for letter in "HTTP/1.1 200 OK":
            connection.sendall(letter.encode())
            time.sleep(1)
        return
    if isinstance(answer, str):
        # A whole answer, in which the id of the request may stand.
        sent_id = server.got[-1].headers.get("idempotency-key", "")
        connection.sendall(answer.replace("{id}", sent_id).encode())
        return
    words = f"HTTP/1.1 {answer} Whatever\r\nContent-Length: 6\r\n{server.headers}\r\nsecret"
    connection.sendall(words.encode())


def _read(connection: socket.socket) -> Request:
    stream = connection.makefile("rb")
    first = stream.readline().split()
    if not first:
        # Somebody else tried the port, as programs do that look for a free one.
        raise ConnectionError("closed without a request")
    path = first[1].decode()
    headers = {}
    while (line := stream.readline().strip()) and b":" in line:
        name, _, value = line.decode().partition(":")
        headers[name.strip().lower()] = value.strip()
    return Request(path, headers, stream.read(int(headers.get("content-length", 0))))
