"""A store on each of its databases, and the nouns that it keeps."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sanityd.store.open import Store


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """Where a store may be."""
    found: str = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Store]:
    """A new store."""
    opened = Store.open(url, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def race(tmp_path: Path) -> Callable[..., list[str]]:
    """Runs a program in several processes, which say that they are ready, wait for a line, and go
    on all at once.

    Gives back what each printed then; it is an error when one of them fails.
    """

    def run(program: str, processes: int, *words: str) -> list[str]:
        begun = [
            subprocess.Popen(
                [sys.executable, "-c", program, *words],
                cwd=tmp_path,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for _ in range(processes)
        ]
        for process in begun:
            assert process.stdout is not None
            process.stdout.readline()
        for process in begun:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        ends = [process.communicate(timeout=60) for process in begun]
        assert [process.returncode for process in begun] == [0] * processes, [
            wrong for _, wrong in ends
        ]
        return [printed for printed, _ in ends]

    return run
