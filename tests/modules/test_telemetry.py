"""Faults reach Sentry and the log with their places, and never with a value."""

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

#: Stands in a row, in a driver's message, in a local variable and in a password.
CANARY = "canary-4711"

PROGRAM = """
import sys
from sanityd import telemetry
from sanityd.errors import CheckError

def look(secret):
    try:
        raise ValueError(f"duplicate key: {secret}")
    except ValueError as error:
        raise CheckError("the database refused the statement") from error

telemetry.start(sys.argv[1])
try:
    look("canary-" + str(4711))
except CheckError as error:
    telemetry.capture(error, rule="no-duplicates")
import logging
logging.getLogger("sanityd.demo").warning("that was it")
print(",".join(sorted(name for name in sys.modules if name.startswith("sentry_sdk"))))
"""


class Sentry(HTTPServer):
    """Takes envelopes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Envelope)
        self.bodies: list[str] = []

    @property
    def dsn(self) -> str:
        return f"http://key@127.0.0.1:{self.server_port}/1"

    def event(self) -> dict[str, Any]:
        [body] = self.bodies
        event: dict[str, Any] = json.loads(body.splitlines()[2])
        return event


class _Envelope(BaseHTTPRequestHandler):
    server: Sentry

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        packed = self.headers.get("Content-Encoding") == "gzip"
        self.server.bodies.append((gzip.decompress(body) if packed else body).decode())
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_words: object) -> None:
        """Not on the screen."""


@contextmanager
def serving() -> Iterator[Sentry]:
    """A Sentry on the loopback interface."""
    server = Sentry()
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def sentry() -> Iterator[Sentry]:
    with serving() as server:
        yield server


def run(style: str = "text", **environment: str) -> subprocess.CompletedProcess[str]:
    """A program that fails and reports it, as a process of its own: delivery at its exit belongs to
    the promise."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SENTRY_")}
    command = [sys.executable, "-c", PROGRAM, style]
    return subprocess.run(
        command, env=clean | environment, capture_output=True, text=True, check=True, timeout=60
    )


def test_a_fault_reaches_sentry_with_its_place_and_its_tags(sentry: Sentry) -> None:
    run(SENTRY_DSN=sentry.dsn)
    event = sentry.event()
    cause, fault = event["exception"]["values"]
    assert (cause["type"], cause["value"]) == ("ValueError", "")
    assert (fault["type"], fault["value"]) == ("CheckError", "the database refused the statement")
    assert [frame["function"] for frame in fault["stacktrace"]["frames"]] == ["<module>", "look"]
    assert event["tags"] == {"rule": "no-duplicates"}
    assert event["release"].startswith("sanityd@")


def test_no_value_reaches_sentry(sentry: Sentry) -> None:
    """Not by a message, a local variable, a line of source, the command line or a breadcrumb."""
    run(SENTRY_DSN=sentry.dsn)
    assert CANARY not in sentry.bodies[0]
    assert (
        not {"breadcrumbs", "extra", "request", "user", "modules", "contexts"}
        & sentry.event().keys()
    )


def test_without_a_dsn_the_sdk_is_not_even_imported() -> None:
    assert run().stdout.strip() == ""


@pytest.mark.parametrize("dsn", ["not a dsn", "http://key@127.0.0.1:1/1"])
def test_a_sentry_that_does_not_answer_stops_nothing(dsn: str) -> None:
    done = run(SENTRY_DSN=dsn)
    assert "that was it" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_dsn_is_said_without_quoting_it() -> None:
    done = run(SENTRY_DSN=f"https://{CANARY}")
    assert "Check SENTRY_DSN" in done.stderr
    assert CANARY not in done.stderr


@pytest.mark.parametrize("style", ["text", "json", "debug"])
def test_the_log_tells_places_and_no_values(style: str) -> None:
    done = run(style)
    assert "that was it" in done.stderr
    assert CANARY not in done.stderr
    assert ("in look" in done.stderr) == (style == "debug")


def test_the_json_log_is_one_object_per_line() -> None:
    [line] = run("json").stderr.splitlines()
    said = json.loads(line)
    assert said.pop("at").endswith("Z")
    assert said == {"level": "warning", "logger": "sanityd.demo", "message": "that was it"}


def test_an_error_in_a_record_keeps_its_words_to_itself() -> None:
    """APScheduler and SQLAlchemy log exceptions of drivers, which quote rows."""
    program = (
        "import logging; from sanityd import telemetry; telemetry.start('json'); telemetry.start('json')\n"
        f"try:\n    int({CANARY!r})\nexcept ValueError:\n    logging.getLogger('apscheduler').exception('job failed')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    [line] = done.stderr.splitlines()
    assert json.loads(line)["error"][0] == "ValueError"
    assert CANARY not in line
