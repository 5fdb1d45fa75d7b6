"""The mailer: a service with a database of its own that performs each request once.

| question | answer |
|---|---|
| the same request again | the same answer, and no second mail |
| the same id with another body | 422: the caller mixed up its ids; nothing is sent |
| the same request twice at once | one is performed, the other gets 409 and asks again later |
| the gateway fails | 503; the request is not recorded as done, the next attempt sends |
| killed while sending | when its lease is over, the next attempt takes the request over |
| killed after sending | the gateway knows the message's id and doesn't send it twice |

`python -m examples.signup.mailer` listens on port 8001. MAILER_DATABASE_URL names the database,
GATEWAY_URL the mail gateway.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import timedelta
from http.client import HTTPException
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine, Row, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from examples.signup import tables, web
from examples.signup.tables import mails, requests
from examples.signup.web import Answer, Request, Service

_FIELDS = {"person_id", "template", "address"}
_RETRY = {"Retry-After": "1"}
_IN_PROGRESS = Answer(409, {"error": "this request is being performed"}, _RETRY)


class Mailer:
    """Sends mails by the gateway at `gateway`.

    `lease` is after how long a request that a process works on counts as given up; it is longer
    than the gateway may take (`timeout`, in seconds).
    """

    def __init__(
        self,
        engine: Engine,
        gateway: str,
        lease: timedelta = timedelta(seconds=30),
        timeout: float = 5,
    ) -> None:
        self.engine = engine
        self.gateway = gateway
        self.lease = lease
        self.timeout = timeout

    def __call__(self, request: Request) -> Answer:
        """Answer an HTTP request."""
        if (request.method, request.path) != ("POST", "/mails"):
            return Answer(404, {"error": "there is nothing here"})
        body = request.json()
        if not request.id or body is None or set(body) != _FIELDS:
            return Answer(400, {"error": "Idempotency-Key and the fields of a mail are needed"})
        return self.perform(request.id, body)

    def perform(self, request_id: str, body: Mapping[str, Any]) -> Answer:
        """Send a mail, once per request id."""
        fence = self._claim(request_id, _digest(body))
        if isinstance(fence, Answer):
            return fence
        # No transaction is open while the gateway is asked: it may take seconds.
        if not self._send(request_id, body):
            self._give_back(request_id, fence)
            return Answer(503, {"error": "the mail gateway failed"}, _RETRY)
        return self._finish(request_id, body, fence)

    def _claim(self, request_id: str, digest: str) -> int | Answer:
        """Return the fence of whoever may perform the request now, else the answer."""
        at = tables.now()
        lease = {"state": "sending", "leased_until": at + self.lease}
        first = {"request_id": request_id, "digest": digest, "fence": 1, "created_at": at}
        try:
            with self.engine.begin() as connection:
                connection.execute(insert(requests).values(first | lease))
            return 1
        except IntegrityError:
            pass
        mine = requests.c.request_id == request_id
        with self.engine.begin() as connection:
            row = connection.execute(select(requests).where(mine)).one()
            if row.digest != digest:
                return Answer(422, {"error": "this id was used for another mail"})
            if row.state == "done":
                return _same_answer(row)
            free = or_(requests.c.state == "failed", requests.c.leased_until < at)
            unchanged = requests.c.fence == row.fence
            values = {"fence": row.fence + 1, **lease}
            claim = update(requests).where(mine, free, unchanged).values(values)
            if connection.execute(claim).rowcount == 0:
                return _IN_PROGRESS
        return int(row.fence) + 1

    def _send(self, request_id: str, body: Mapping[str, Any]) -> bool:
        """Return whether the gateway has the mail. False also when its answer was lost."""
        # PUT with an id of ours: the gateway delivers a message once, however often it is put.
        message = {"person_id": body["person_id"], "address": body["address"]}
        url = f"{self.gateway}/messages/{quote(request_id, safe='')}"
        try:
            return web.send("PUT", url, message, request_id, self.timeout).status == 200
        except (OSError, HTTPException):
            return False

    def _give_back(self, request_id: str, fence: int) -> None:
        mine = (requests.c.request_id == request_id, requests.c.fence == fence)
        with self.engine.begin() as connection:
            connection.execute(update(requests).where(*mine).values(state="failed"))

    def _finish(self, request_id: str, body: Mapping[str, Any], fence: int) -> Answer:
        """Record the mail and the answer together, unless somebody else has taken over."""
        answer = {"id": request_id, "status": "sent"}
        mine = (requests.c.request_id == request_id, requests.c.fence == fence)
        done = update(requests).where(*mine).values(state="done", answer=answer)
        mail = {"request_id": request_id, "person_id": body["person_id"], "status": "sent"}
        mail |= {"template": body["template"], "sent_at": tables.now()}
        with self.engine.begin() as connection:
            if connection.execute(done).rowcount == 0:
                return _IN_PROGRESS
            connection.execute(insert(mails).values(mail))
        return Answer(200, answer)


def _same_answer(row: Row[Any]) -> Answer:
    return Answer(200, row.answer, {"Idempotent-Replayed": "true"})


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def main() -> None:
    """Serve the mailer until it is stopped."""
    url = os.environ.get("MAILER_DATABASE_URL", "sqlite:///mailer.db")
    gateway = os.environ.get("GATEWAY_URL", "http://127.0.0.1:8002")
    Service(Mailer(tables.connect(url, tables.mailer), gateway), 8001).serve_forever()


if __name__ == "__main__":
    main()
