"""A web server in a thread of the daemon. Knows nothing of what is served."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sanityd.errors import WebError
from sanityd.rules.rule import RuleSet
from sanityd.store.open import Store

#: How long requests that were begun may take when the daemon ends, in seconds.
PATIENCE = 3


@contextmanager
def serve(host: str, port: int, rules: Callable[[], RuleSet], store: Store) -> Iterator[int]:
    """Serve at an address while in the context, which gives the port. Raises WebError when that can't be."""
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
        timeout_graceful_shutdown=PATIENCE,
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
        thread.join(2 * PATIENCE)
        listener.close()


def _listener(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except OSError as error:
        raise WebError(
            f"`{host}:{port}` can't be served: {(error.strerror or 'no such address').lower()}"
        ) from None
