"""An end to a conversation that takes too long, whoever is to blame. Knows nothing of what is said in it."""

import contextlib
import socket
import threading
from typing import Self

from sanityd.clock import stopwatch


class Deadline:
    """Cuts a connection off after so many seconds, even if the other side sends a byte now and then."""

    def __init__(self, patience: float) -> None:
        self._deadline = stopwatch() + patience
        self._timer = threading.Timer(patience, self._cut)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def left(self) -> float:
        """How many seconds the attempt still has. Raises TimeoutError when there are none."""
        left = self._deadline - stopwatch()
        if left <= 0:
            raise TimeoutError
        return left

    def watch(self, connection: socket.socket) -> None:
        """Watch a connection through a handle of our own, which stays valid when TLS takes the socket over."""
        with self._lock:
            self._socket = connection.dup()
        self.left()

    def _cut(self) -> None:
        with self._lock:
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
