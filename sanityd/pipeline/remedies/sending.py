"""One attempt of one request, and what its answer means. Writes nothing.

Of an answer only the status is kept; its text may hold values.
"""

import json
import os
import random
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from sanityd.alerts.http import Answer, exchange, target
from sanityd.errors import DeliveryError
from sanityd.model.remedies import RemedyState
from sanityd.pipeline.remedies.requests import Request
from sanityd.rules.remedy_spec import CommandSpec, HttpSpec, RemedySpec

#: The most bytes of an answer that are read.
MOST_BYTES = 65_536
#: The wait after the first failed attempt; it doubles with each, up to the longest.
FIRST_PAUSE, LONGEST_BACKOFF = timedelta(seconds=30), timedelta(hours=2)
#: The receiver can't put a request off for longer.
LONGEST_WISH = timedelta(days=1)
#: Exit code of a command that may succeed later (EX_TEMPFAIL).
TRY_LATER = 75
_CONFLICT = 409
#: Answers after which a later attempt may succeed.
_RETRYABLE = (408, 409, 425, 429)
#: Words of a JSON answer, or of the header `Idempotency-Status`, for a request done before.
_DONE_WORDS = ("done", "completed", "succeeded")


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """What became of one attempt: done, to be tried again (planned), or refused."""

    state: RemedyState
    code: int | None = None
    error: str = ""
    #: When the receiver wants to be asked again; None where it did not say.
    not_before: datetime | None = None
    #: Whether the receiver does not answer at all, so that other requests would fail as well.
    is_down: bool = False


def attempt(spec: RemedySpec, request: Request, at: datetime) -> AttemptResult:
    """Send a request once. Never raises for what the receiver does."""
    if spec.command is not None:
        return _run(spec.command, request)
    if spec.http is None:
        return AttemptResult(RemedyState.REFUSED, error="the remedy has no request")
    try:
        answer = exchange(
            target(request.url),
            request.method,
            request.body,
            request.headers or {},
            timeout=spec.http.timeout.total_seconds(),
            most_bytes=MOST_BYTES,
        )
    except DeliveryError as error:
        is_down = error.stage == "connect"
        return AttemptResult(RemedyState.PLANNED, error=error.message, is_down=is_down)
    return judge(spec.http, request, answer, at)


def backoff(attempts: int) -> timedelta:
    """Return how long to wait after so many attempts: doubling, with a quarter of jitter."""
    doublings = min(max(attempts - 1, 0), 20)
    pause = min(FIRST_PAUSE * (1 << doublings), LONGEST_BACKOFF)
    return pause * random.uniform(0.75, 1.25)  # noqa: S311 (no secret)


def judge(spec: HttpSpec, request: Request, answer: Answer, at: datetime) -> AttemptResult:
    """Return what an answer means. An answer to another request is never taken for this one's."""
    status = answer.status
    content, problem = _content(answer)
    if not problem and _is_for_another(spec, request, answer, content):
        problem = "it was answered for a different request"
    if problem:
        return AttemptResult(RemedyState.PLANNED, status, f"{problem} ({status})")
    if _is_accepted(answer, content):
        return AttemptResult(RemedyState.DONE, status)
    if 300 <= status < 400:
        error = f"it was redirected, which is not followed ({status})"
        return AttemptResult(RemedyState.REFUSED, status, error)
    if status in _RETRYABLE or status >= 500 or status < 200:
        error = f"the server asks to try again later ({status})"
        return AttemptResult(RemedyState.PLANNED, status, error, retry_after(answer, at))
    return AttemptResult(RemedyState.REFUSED, status, f"the server refused it ({status})")


def _content(answer: Answer) -> tuple[Any, str]:
    """Return the JSON of an answer, None without, and what is wrong with the answer."""
    if len(answer.body) > MOST_BYTES:
        return None, f"the answer has more than {MOST_BYTES:,} bytes"
    content_type = answer.headers.get("Content-Type", "")
    if "json" not in content_type.lower() or not answer.body.strip():
        return None, ""
    try:
        return json.loads(answer.body), ""
    except (ValueError, RecursionError):
        return None, "the answer is not the JSON that it says it is"


def _is_for_another(spec: HttpSpec, request: Request, answer: Answer, content: Any) -> bool:
    echoed = answer.headers.get("Idempotency-Key")
    if echoed is not None and echoed.strip().strip('"') != request.id:
        return True
    if not spec.answers_id or not isinstance(content, dict) or "id" not in content:
        return False
    return str(content["id"]) != request.id


def _is_accepted(answer: Answer, content: Any) -> bool:
    if answer.status == _CONFLICT:
        return _says_done(answer, content)
    return 200 <= answer.status < 300


def _says_done(answer: Answer, content: Any) -> bool:
    """Return whether a 409 says that the request was performed before."""
    words = [answer.headers.get("Idempotency-Status", "")]
    if isinstance(content, dict):
        words.append(str(content.get("status", "")))
    is_replayed = answer.headers.get("Idempotent-Replayed", "").lower() == "true"
    return is_replayed or any(word.lower() in _DONE_WORDS for word in words)


def retry_after(answer: Answer, at: datetime) -> datetime | None:
    """Return the time of `Retry-After`, given in seconds or as a date; a day away at most."""
    text = answer.headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        seconds = min(int(text[:9]), LONGEST_WISH.total_seconds())
        return at + timedelta(seconds=seconds)
    try:
        wish = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if wish.tzinfo is None:
        wish = wish.replace(tzinfo=UTC)
    return min(wish, at + LONGEST_WISH)


def _run(spec: CommandSpec, request: Request) -> AttemptResult:
    """Run a command once. Its output is discarded: it may hold values."""
    environment = {
        **os.environ,
        "SANITYD_REQUEST_ID": request.id,
        "SANITYD_RULE": request.rule,
    }
    try:
        process = subprocess.Popen(  # noqa: S603 (allowed by `allow: {commands: true}`)
            request.arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        words = f"the command can't be started ({type(error).__name__})"
        return AttemptResult(RemedyState.PLANNED, error=words, is_down=True)
    try:
        code = process.wait(spec.timeout.total_seconds())
    except subprocess.TimeoutExpired:
        # Its children have the process group, too.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return AttemptResult(RemedyState.PLANNED, error="the command did not end in time")
    if code == 0:
        return AttemptResult(RemedyState.DONE, code)
    if code == TRY_LATER or code < 0:
        words = f"the command asks to try again later, or was killed ({code})"
        return AttemptResult(RemedyState.PLANNED, code, words)
    return AttemptResult(RemedyState.REFUSED, code, f"the command failed ({code})")
