"""One broken file, read as `sanityd lint` reads it: what must be true of that, whatever stands in
the file."""

import resource
import signal
import sys
import tempfile
import time
import traceback
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from sanityd.errors import Problem, RuleError
from sanityd.rules.diagnostics import as_github, as_json, format_problems
from sanityd.rules.load import examine
from sanityd.rules.yaml import rules_document
from tests.fuzz.mutations import broken

#: Seconds of a processor, and MiB of the process.
SLOWEST, LARGEST = 2.0, 300
ENVIRONMENT = {"APP_DATABASE_URL": "sqlite:///app.db", "SMTP_URL": "smtp://localhost:25"}


class _Hang(BaseException):
    """It takes too long."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one file.

    How many errors it has, how long that took, and what must not be (nothing, if all is well).
    """

    number: int
    errors: int
    seconds: float
    memory: int
    fault: str = ""


def content(seed: int, number: int) -> bytes:
    """The file of that number, always the same."""
    return broken(Random(f"{seed}:{number}"))


def batch(part: tuple[int, int, int]) -> list[Outcome]:
    """What becomes of the files of a seed from one number to another."""
    seed, start, end = part
    with tempfile.TemporaryDirectory() as folder:
        return [attempt(seed, number, Path(folder)) for number in range(start, end)]


def attempt(seed: int, number: int, folder: Path) -> Outcome:
    """Write the file into the folder and read it."""
    path = folder / "rules.yaml"
    text = content(seed, number)
    path.write_bytes(text)
    began, errors, fault = time.process_time(), 0, ""
    try:
        with _limit():
            found = _told(path)
            errors = sum(problem.level == "error" for problem in found)
            fault = _wrong(found, text) or _unreadable(found)
    except _Hang:
        fault = "it takes too long"
    except Exception as error:  # noqa: BLE001 (any exception is what the fuzzer looks for)
        frame = traceback.extract_tb(error.__traceback__)[-1]
        fault = f"{type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"[
            :300
        ]
    seconds = time.process_time() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (
        1 if sys.platform == "darwin" else 1024
    )
    if not fault and memory > LARGEST:
        fault = f"the process takes {memory} MiB"
    return Outcome(number, errors, seconds, memory, fault)


def _told(path: Path) -> list[Problem]:
    try:
        document = rules_document.parse(path)
        examination = examine(document, path, ENVIRONMENT, need_secrets=False)
    except RuleError as error:
        return list(error.problems)
    return list(examination.problems)


def _wrong(found: list[Problem], text: bytes) -> str:
    """A problem that isn't at a place of the file."""
    last = (
        text.count(b"\n")
        + text.count(b"\r")
        + text.count(b"\xc2\x85")
        + text.count(b"\xe2\x80")
        + 1
    )
    for problem in found:
        if not (
            1 <= problem.line <= last
            and problem.column >= 1
            and problem.length >= 1
            and problem.path
        ):
            return f"no place: {problem}"[:300]
        if problem.source_line and problem.column > len(problem.source_line) + 1:
            return f"behind the end of its line: {problem}"[:300]
        if not problem.message or (problem.level == "error" and not problem.advice):
            return f"no advice: {problem}"[:300]
    if len(
        {(problem.path, problem.line, problem.column, problem.message) for problem in found}
    ) < len(found):
        return "something is told twice"
    return ""


def _unreadable(found: list[Problem]) -> str:
    if not found:
        return ""
    shown = format_problems(found)
    as_json(found)
    as_github(found)
    moving = {unicodedata.category(char) for char in shown.replace("\n", "")} & {
        "Cc",
        "Cf",
        "Cs",
        "Zl",
        "Zp",
    }
    return "a control character is shown" if moving else ""


@contextmanager
def _limit() -> Iterator[None]:
    """Stop at twice the time of the processor that it may take."""

    def stop(*_: object) -> None:
        raise _Hang

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, SLOWEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
