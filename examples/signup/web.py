"""JSON over HTTP with the standard library: a service in a thread, and a client."""

import http.client
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

#: No request of this application is larger.
LARGEST = 100_000


@dataclass(frozen=True)
class Request:
    """What was asked: `path` without a query, header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """The request id; empty if the caller gave none."""
        return self.headers.get("idempotency-key", "")

    def json(self) -> Any:
        """Return the body, or None if it is no JSON object."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None


@dataclass(frozen=True)
class Answer:
    """A status with a JSON object, or with text if `text` is given."""

    status: int
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""


Handler = Callable[[Request], Answer]


class Service(ThreadingHTTPServer):
    """Answers each request in a thread, between `__enter__` and `__exit__`. Port 0 takes any."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, handler: Handler, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Conversation)
        self.handler = handler

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> "Service":
        """Begin to answer."""
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Answer no more."""
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that is gone."""


class _Conversation(BaseHTTPRequestHandler):
    server: Service

    def handle_one_request(self) -> None:
        """Read one request and answer it."""
        self.raw_requestline = self.rfile.readline(LARGEST)
        if not self.raw_requestline or not self.parse_request():
            return
        size = self.headers.get("content-length", "0")
        if not size.isdigit() or int(size) > LARGEST:
            self._write(Answer(413, {"error": "too large"}))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = urlsplit(self.path).path
        request = Request(self.command, path, headers, self.rfile.read(int(size)))
        self._write(self.server.handler(request))

    def _write(self, answer: Answer) -> None:
        content = answer.text or json.dumps(answer.body)
        self.send_response(answer.status)
        self.send_header("Content-Type", "text/html" if answer.text else "application/json")
        self.send_header("Content-Length", str(len(content.encode())))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: addresses of people are in the requests."""


def send(
    method: str, url: str, body: Mapping[str, Any], request_id: str, timeout: float = 5
) -> Answer:
    """Send a JSON object with its request id, and return the answer.

    Raises OSError or HTTPException when no answer comes: the request may have been performed.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    headers = {"Content-Type": "application/json", "Idempotency-Key": request_id}
    try:
        connection.request(method, parts.path, json.dumps(body), headers)
        response = connection.getresponse()
        content = response.read(LARGEST)
    finally:
        connection.close()
    try:
        answer = json.loads(content)
    except ValueError as error:
        raise http.client.HTTPException("the answer is no JSON") from error
    return Answer(response.status, answer, dict(response.headers))
