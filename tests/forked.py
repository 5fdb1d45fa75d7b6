"""`sanityd` in processes of their own, some of which kill themselves on the way.

They are forked from a server that has imported everything: to import it anew takes longer than most commands do. The
modules below are what it imports.
"""

import importlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sanityd.cli import main

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.forked"])


@dataclass(frozen=True)
class Ended:
    """The exit code of a process, negative for a signal, and what it printed."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Death:
    """Where a process kills itself, without any clean-up: when the function is entered (`before`) or left (`after`) the
    n-th time."""

    module: str
    name: str
    when: str
    times: int = 1

    def prepare(self) -> None:
        """Replace the function by one that is deadly."""
        owner = importlib.import_module(self.module)
        *path, last = self.name.split(".")
        for part in path:
            owner = getattr(owner, part)
        real, calls = getattr(owner, last), 0

        def deadly(*arguments: object, **options: object) -> object:
            nonlocal calls
            calls += 1
            if (self.when, calls) == ("before", self.times):
                os.kill(os.getpid(), signal.SIGKILL)
            answer = real(*arguments, **options)
            if calls == self.times:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        setattr(owner, last, deadly)


def run(folder: Path, words: Sequence[str], environment: Mapping[str, str], death: Death | None = None) -> Ended:
    """Run the command line in that folder, with that environment and no input."""
    with TemporaryDirectory() as place:
        process = _CONTEXT.Process(target=_run, args=(folder, words, dict(environment), Path(place), death))
        process.start()
        process.join(60)
        assert process.exitcode is not None, f"{words} did not end"
        out, err = ((Path(place) / name).read_text(encoding="utf-8") for name in ("1", "2"))
        return Ended(process.exitcode, out, err)


def _run(folder: Path, words: Sequence[str], environment: dict[str, str], place: Path, death: Death | None) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = ["sanityd", *words]
    for number in (1, 2):
        with (place / str(number)).open("wb") as file:
            os.dup2(file.fileno(), number)
    if death is not None:
        death.prepare()
    main()
