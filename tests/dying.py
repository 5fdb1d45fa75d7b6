"""Passes in processes of their own, some of which kill themselves on the way.

They are forked from a server that has imported everything, so that a test of many passes takes no minute. The modules
below are what it imports.
"""

import importlib
import multiprocessing
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import sanityd.alerts.channels.email
import sanityd.cli.check
import sanityd.pipeline
import sanityd.sources.sqlite
import sanityd.store.migrate  # noqa: F401
from sanityd.cli import main

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.dying"])


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


def check(folder: Path, url: str, death: Death | None = None) -> int | None:
    """`sanityd check` in that folder, with that mail server; its exit code, negative for a signal."""
    process = _CONTEXT.Process(target=_check, args=(folder, url, death))
    process.start()
    process.join(60)
    return process.exitcode


def _check(folder: Path, url: str, death: Death | None) -> None:
    os.chdir(folder)
    os.environ["SMTP_URL"] = url
    sys.argv = ["sanityd", "check"]
    with (folder / "output").open("w") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    if death is not None:
        death.prepare()
    main()
