"""A proxy that makes trouble: delays a request, or cuts the connection before or after the answer.

Cut before: the service was never asked. Cut after: it has performed the request, and the caller
can't know that.
"""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Callable
from types import TracebackType

PASS, DELAY, CUT_BEFORE, CUT_AFTER = "pass", "delay", "cut before", "cut after"
#: Longer requests and answers are not expected here.
_LARGEST = 200_000


class Proxy:
    """Between callers and the service at `port`; runs in a thread from `__enter__` to `__exit__`.

    `draw` says what happens to the next connection, `delay` is in seconds. `counts` says how often
    each happened.
    """

    def __init__(self, port: int, draw: Callable[[], str], delay: float = 0.05) -> None:
        self.port = port
        self.draw = draw
        self.delay = delay
        self.counts: Counter[str] = Counter()
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "Proxy":
        """Begin to listen, at `url`."""
        listen = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = self._loop.run_until_complete(listen)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Listen no more."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await self._pass_on(reader, writer)
        writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _read_request(reader)
        fate = self.draw()
        self.counts[fate] += 1
        if fate == CUT_BEFORE:
            return
        if fate == DELAY:
            await asyncio.sleep(self.delay)
        answer = await self._ask(request)
        if fate != CUT_AFTER:
            writer.write(answer)
            await writer.drain()

    async def _ask(self, request: bytes) -> bytes:
        """Return the whole answer of the service, which closes the connection after it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            await writer.drain()
            return await reader.read(-1)
        finally:
            writer.close()


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    size = 0
    for line in head.lower().splitlines():
        if line.startswith(b"content-length:"):
            size = int(line.partition(b":")[2])
    return head + await reader.readexactly(min(size, _LARGEST))
