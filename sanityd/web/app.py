"""The pages: `/healthz`, `/readyz` and `/metrics`, and `/`, which lists them. They read the store and change nothing.

None of them shows a row's value, so none asks who is there; whoever binds beyond loopback decides who may know which
rules are broken.
"""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sanityd import clock
from sanityd.daemon import health
from sanityd.daemon.health import HealthSigns
from sanityd.errors import StoreError
from sanityd.rules.rule import RuleSet
from sanityd.store.open import Store
from sanityd.web import figures

#: Nothing of it is to be kept, framed or guessed at.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

#: What `/` says.
INDEX = """\
sanityd serves here:

/healthz   503 when the process must be replaced; "degraded" while something is wrong with sanityd itself
/readyz    503 while its store or a source does not answer
/metrics   figures for Prometheus

`sanityd status` tells people what is wrong with the data.
"""


def app(rules: Callable[[], RuleSet], store: Store) -> Starlette:
    """The application of one daemon.

    Parameters: `rules` gives those that are in force.
    """

    def signs() -> HealthSigns:
        with store.read() as memory:
            return health.health_signs(memory, rules(), clock.now())

    def index(_: Request) -> Response:
        """What there is."""
        return PlainTextResponse(INDEX, headers=HEADERS)

    def healthz(_: Request) -> Response:
        """The process: 503 only when it must be replaced; what else is wrong is `degraded`."""
        at = clock.now()
        try:
            found = signs()
        except StoreError as error:
            return _json({"status": "degraded", "complaints": [error.message]})
        complaints = found.complaints(at)
        if found.silence(at):
            return _json({"status": "dead", "complaints": list(complaints)}, 503)
        return _json({"status": "degraded" if complaints else "ok", "complaints": list(complaints)})

    def readyz(_: Request) -> Response:
        """The store and the sources: 503 while one of them does not answer."""
        try:
            down = dict.fromkeys(signs().down, "does not answer")
        except StoreError as error:
            return _json({"status": "unready", "store": error.message}, 503)
        sources = {name: down.get(name, "ok") for name in rules().sources}
        return _json(
            {"status": "unready" if down else "ok", "store": "ok", "sources": sources},
            503 if down else 200,
        )

    def metrics(_: Request) -> Response:
        """For Prometheus."""
        try:
            with store.read() as memory:
                text = figures.exposition(memory, rules(), clock.now())
        except StoreError as error:
            return _json({"status": "unready", "store": error.message}, 503)
        return Response(text, media_type=figures.CONTENT_TYPE, headers=HEADERS)

    pages = {"/": index, "/healthz": healthz, "/readyz": readyz, "/metrics": metrics}
    return Starlette(routes=[Route(path, page) for path, page in pages.items()])


def _json(said: object, status: int = 200) -> Response:
    return JSONResponse(said, status, HEADERS)
