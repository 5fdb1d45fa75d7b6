"""A time limit for a whole network conversation. Knows nothing of the protocol."""

import contextlib
import socket
import threading
from typing import Self

from sanityd.clock import stopwatch


class Deadline:
    """Context manager that shuts a connection down after `seconds`.

    A socket timeout limits each wait only; this limit also holds when the other side sends a byte
    now and then.
    """

    def __init__(self, seconds: float) -> None:
        self._end = stopwatch() + seconds
        self._timer = threading.Timer(seconds, self._shut_down)
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

    def remaining(self) -> float:
        """Return the seconds that remain. Raises TimeoutError when none do."""
        seconds = self._end - stopwatch()
        if seconds <= 0:
            raise TimeoutError
        return seconds

    def watch(self, connection: socket.socket) -> None:
        """Shut this connection down when the time is over.

        Keeps a duplicate of the socket, which stays valid when TLS takes the original over.
        Raises TimeoutError when the time is over already.
        """
        with self._lock:
            self._socket = connection.dup()
        self.remaining()

    def _shut_down(self) -> None:
        with self._lock:
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
