"""The web server, in a thread of the daemon. Knows nothing of the pages."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sanityd.errors import WebError
from sanityd.rules.rule import RuleSet
from sanityd.store.open import Store

#: How long running requests may take when the daemon ends, in seconds.
GRACE = 3


@contextmanager
def serve(host: str, port: int, rules: Callable[[], RuleSet], store: Store) -> Iterator[int]:
    """Serve at an address while in the context, which yields the port.

    Raises WebError when the server is not installed, or the address can't be used.
    """
    try:
        import uvicorn

        from sanityd.web.app import app
    except ImportError:
        raise WebError("the web server isn't installed", "pip install 'sanityd[web]'") from None
    listener = _listener(host, port)
    config = uvicorn.Config(
        app(rules, store),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        lifespan="off",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(
        target=server.run, args=([listener],), name="sanityd-web", daemon=True
    )
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(2 * GRACE)
        listener.close()


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = (error.strerror or "no such address").lower()
        raise WebError(f"`{host}:{port}` can't be served: {reason}") from None
