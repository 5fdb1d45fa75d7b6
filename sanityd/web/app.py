"""The pages `/healthz`, `/readyz` and `/metrics`, and `/`, which lists them. All only read.

No page shows the value of a row, so none asks for a login. Whoever binds beyond loopback decides
who may know which rules are violated.
"""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sanityd import clock
from sanityd.daemon import health
from sanityd.daemon.health import HealthSigns, ServeState
from sanityd.errors import StoreError
from sanityd.rules.rule import RuleSet
from sanityd.store.open import Store
from sanityd.web import figures

#: No page may be cached, framed, or taken for another type.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

#: The text of `/`.
INDEX = """\
sanityd serves:

/healthz   503 when the process must be restarted; "degraded" while sanityd itself has a fault
/readyz    503 while its store or a source does not answer
/metrics   metrics for Prometheus

`sanityd status` shows what is wrong with the data.
"""


def app(rules: Callable[[], RuleSet], store: Store) -> Starlette:
    """Return the application of one daemon.

    Parameters: `rules` returns the rules in force.
    """
    pages = _Pages(rules, store)
    return Starlette(
        routes=[
            Route("/", pages.index),
            Route("/healthz", pages.healthz),
            Route("/readyz", pages.readyz),
            Route("/metrics", pages.metrics),
        ]
    )


class _Pages:
    """The handlers of all pages."""

    def __init__(self, rules: Callable[[], RuleSet], store: Store) -> None:
        self._rules = rules
        self._store = store

    def index(self, _: Request) -> Response:
        """List the pages."""
        return PlainTextResponse(INDEX, headers=HEADERS)

    def healthz(self, _: Request) -> Response:
        """Say whether the process must be restarted (503); other faults are `degraded`."""
        try:
            signs = self._health_signs()
        except StoreError as error:
            return _json({"status": "degraded", "complaints": [error.message]})
        at = clock.now()
        complaints = list(signs.complaints(at))
        state = health.serve_state(signs.daemon, at)
        content = {"status": "ok", "serve": state, "complaints": complaints}
        if state is ServeState.SILENT or signs.never_resumed(at):
            return _json({**content, "status": "dead"}, 503)
        if complaints:
            content["status"] = "degraded"
        return _json(content)

    def readyz(self, _: Request) -> Response:
        """Say whether the store and all sources answer; 503 when one does not."""
        try:
            down = self._health_signs().down
        except StoreError as error:
            return _json({"status": "unready", "store": error.message}, 503)
        sources = {}
        for name in self._rules().sources:
            sources[name] = "does not answer" if name in down else "ok"
        status = "unready" if down else "ok"
        content = {"status": status, "store": "ok", "sources": sources}
        return _json(content, 503 if down else 200)

    def metrics(self, _: Request) -> Response:
        """Return the metrics for Prometheus."""
        try:
            with self._store.read() as connection:
                text = figures.exposition(connection, self._rules(), clock.now())
        except StoreError as error:
            return _json({"status": "unready", "store": error.message}, 503)
        return Response(text, media_type=figures.CONTENT_TYPE, headers=HEADERS)

    def _health_signs(self) -> HealthSigns:
        with self._store.read() as connection:
            return health.health_signs(connection, self._rules(), clock.now())


def _json(content: object, status: int = 200) -> Response:
    return JSONResponse(content, status, HEADERS)
