"""Read files that a person names: neither endless, nor waiting for ever."""

import errno
import os
import select
import stat
from pathlib import Path

from sanityd import clock

#: How long a pipe may take until all of its content was read.
PIPE_SECONDS = 5.0


def read_file(path: Path, most: int) -> bytes:
    """Return the first `most` bytes of a file or pipe.

    Raises OSError; also for a pipe into which nobody writes.
    """
    # Without this flag, opening a pipe waits for somebody who writes into it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return _read_pipe(descriptor, most)
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(descriptor)


def _read_pipe(descriptor: int, most: int) -> bytes:
    content = b""
    end = clock.stopwatch() + PIPE_SECONDS
    while len(content) < most:
        readable, _, _ = select.select([descriptor], [], [], max(0, end - clock.stopwatch()))
        if not readable:
            raise TimeoutError(errno.ETIMEDOUT, "nobody writes into this pipe")
        part = os.read(descriptor, most - len(content))
        if not part:
            break
        content += part
    return content
