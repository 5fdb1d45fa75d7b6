"""`sanityd` in processes of their own, some of which kill themselves on the way, or wait there to
be killed.

They are forked from a server that has imported everything (`warm.py`): to import it anew takes
longer than most commands do.
"""

import importlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import time_machine

from sanityd.cli import main

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.support.forked", "tests.support.warm"])
#: For how long a process may go on.
_PATIENCE = 60


@dataclass(frozen=True)
class Ended:
    """The exit code of a process, negative for a signal, and what it printed."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Death:
    """Where a process kills itself, without any clean-up: when the function is entered (`before`)
    or left (`after`) the n-th time."""

    module: str
    name: str
    when: str = "before"
    times: int = 1

    def prepare(self, place: Path, *, waits: bool) -> None:
        """Replace the function by one that is deadly, or that `waits` to be killed from outside."""
        owner = importlib.import_module(self.module)
        *path, last = self.name.split(".")
        for part in path:
            owner = getattr(owner, part)
        real, calls = getattr(owner, last), 0

        def deadly(*arguments: object, **options: object) -> object:
            nonlocal calls
            calls += 1
            mine = calls == self.times
            if mine and self.when == "before":
                _die(place, waits=waits)
            answer = real(*arguments, **options)
            if mine:
                _die(place, waits=waits)
            return answer

        setattr(owner, last, deadly)


def _die(place: Path, *, waits: bool) -> None:
    (place / "there").touch()
    os.kill(os.getpid(), signal.SIGSTOP if waits else signal.SIGKILL)


class Process:
    """`sanityd` on its way in a process of its own.

    Parameters: `later` is by how much its clock is ahead of ours; with `waits` it stops where it
    was to die.
    """

    def __init__(
        self,
        folder: Path,
        words: Sequence[str],
        environment: Mapping[str, str],
        death: Death | None = None,
        *,
        later: timedelta = timedelta(0),
        waits: bool = False,
    ) -> None:
        self._files = TemporaryDirectory()
        self._place = Path(self._files.name)
        arguments = (folder, words, dict(environment), self._place, death, later, waits)
        self._process = _CONTEXT.Process(target=_run, args=arguments)
        self._process.start()

    def arrive(self) -> bool:
        """Wait until it is where it is to die; False when it ended without."""
        until = time.monotonic() + _PATIENCE
        while not self.there and self._process.is_alive():
            assert time.monotonic() < until
            time.sleep(0.01)
        return self.there

    @property
    def there(self) -> bool:
        """Whether it came to where it is to die."""
        return (self._place / "there").exists()

    def kill(self) -> Ended:
        """With SIGKILL, wherever it is."""
        self._process.kill()
        return self.end()

    def is_over(self, seconds: float) -> bool:
        """Whether it ends by itself within that time."""
        self._process.join(seconds)
        return self._process.exitcode is not None

    def end(self) -> Ended:
        """Wait for its end."""
        self._process.join(_PATIENCE)
        assert self._process.exitcode is not None, "it did not end"
        out, err = ((self._place / name).read_text(encoding="utf-8") for name in ("1", "2"))
        ended = Ended(self._process.exitcode, out, err)
        self._process.close()
        self._files.cleanup()
        return ended


def run(
    folder: Path, words: Sequence[str], environment: Mapping[str, str], death: Death | None = None
) -> Ended:
    """Run the command line in that folder, with that environment and no input."""
    return Process(folder, words, environment, death).end()


def _run(
    folder: Path,
    words: Sequence[str],
    environment: dict[str, str],
    place: Path,
    death: Death | None,
    later: timedelta,
    waits: bool,
) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = ["sanityd", *words]
    for number in (1, 2):
        with (place / str(number)).open("wb") as file:
            os.dup2(file.fileno(), number)
    if death is not None:
        death.prepare(place, waits=waits)
    if later:
        time_machine.travel(datetime.now(UTC) + later, tick=True).start()
    main()
