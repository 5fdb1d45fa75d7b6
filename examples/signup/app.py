"""The application: a form to sign up, an import, and `/resend` for whoever repairs.

`python -m examples.signup.app` listens on port 8000. APP_DATABASE_URL names the database.
"""

import html
import os
import secrets
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from examples.signup import tables
from examples.signup.tables import jobs, people, resends
from examples.signup.troubles import Trouble, switched_on
from examples.signup.web import Answer, Request, Service

WELCOME = "welcome"

_FORM = """<!doctype html><title>Sign up</title>
<form method="post" action="/people">
<label>Name <input name="name" required></label>
<label>Mail address <input name="email" type="email" required></label>
<button>Sign up</button></form>"""


class QueueTimeoutError(Exception):
    """The queue did not take the job in time."""


class AddressTakenError(Exception):
    """Somebody has signed up with that address."""


class App:
    """What the application does, apart from HTTP.

    `before_commit` is called when a job is visible and its person is not yet, which only
    `Trouble.EVENT_BEFORE_COMMIT` makes possible.
    """

    def __init__(
        self,
        engine: Engine,
        troubles: Iterable[Trouble] = (),
        before_commit: Callable[[], None] = lambda: None,
    ) -> None:
        self.engine = engine
        self.troubles = frozenset(troubles)
        self.before_commit = before_commit

    def sign_up(self, name: str, email: str, person: str = "", at: datetime | None = None) -> str:
        """Add a person and the job of the welcome mail, and return the person's id.

        `person` is the id to use, `at` the time of the sign-up. Raises AddressTakenError, and
        QueueTimeoutError where that trouble is switched on.
        """
        person = person or secrets.token_hex(4)
        at = at or tables.now()
        if Trouble.QUEUE_TIMEOUT in self.troubles:
            with self.engine.begin() as connection:
                _add_person(connection, person, name, _clean(email), "new", at)
            raise QueueTimeoutError
        if Trouble.EVENT_BEFORE_COMMIT in self.troubles:
            with self.engine.begin() as connection:
                _add_job(connection, person, at)
            self.before_commit()
            with self.engine.begin() as connection:
                _add_person(connection, person, name, _clean(email), "new", at)
            return person
        # Right: both or none.
        with self.engine.begin() as connection:
            _add_person(connection, person, name, _clean(email), "new", at)
            _add_job(connection, person, at)
        return person

    def import_people(
        self, rows: Iterable[tuple[str, str, str]], batch: str, at: datetime | None = None
    ) -> None:
        """Add people (id, name, address) of another system. Addresses that exist are skipped."""
        at = at or tables.now()
        past_validations = Trouble.IMPORT_PAST_VALIDATIONS in self.troubles
        with self.engine.begin() as connection:
            for person, name, email in rows:
                if past_validations:
                    _add_person(connection, person, name, email, "imported", at)
                elif not _has_address(connection, _clean(email)):
                    _add_person(connection, person, name, _clean(email), "new", at)
                    _add_job(connection, person, at, batch)

    def resend(self, request_id: str, person: str) -> Answer:
        """Put the person's welcome mail into the queue again; once per request id.

        The job keeps its own request id. So the mailer doesn't send a second mail, whoever asks
        and however often: what was lost is sent, what was sent is not sent again.
        """
        try:
            with self.engine.begin() as connection:
                query = select(resends.c.person_id).where(resends.c.request_id == request_id)
                earlier = connection.execute(query).scalar()
                if earlier is not None:
                    return _earlier_answer(request_id, person, earlier)
                if not _exists(connection, person):
                    return Answer(404, {"error": "there is no such person"})
                row = {"request_id": request_id, "person_id": person, "created_at": tables.now()}
                connection.execute(insert(resends).values(row))
                _queue_again(connection, person)
        except IntegrityError:
            # Another request for this person, or this one, came at the same moment.
            return Answer(
                409, {"error": "this person's mail is being queued"}, {"Retry-After": "1"}
            )
        return Answer(202, {"id": request_id, "queued": True})

    def replay(self, batch: str) -> None:
        """Start a batch of jobs again from its first, as people do after a crash."""
        values = {"state": "waiting", "not_before": tables.now(), "run": jobs.c.run + 1}
        with self.engine.begin() as connection:
            connection.execute(update(jobs).where(jobs.c.batch == batch).values(values))

    def __call__(self, request: Request) -> Answer:
        """Answer an HTTP request."""
        match (request.method, request.path):
            case ("GET", "/"):
                return Answer(200, text=_FORM)
            case ("POST", "/people"):
                return self._sign_up_form(request)
            case ("POST", "/resend"):
                return self._resend_request(request)
        return Answer(404, {"error": "there is nothing here"})

    def _sign_up_form(self, request: Request) -> Answer:
        fields = parse_qs(request.body.decode("utf-8", "replace"))
        name = fields.get("name", [""])[0].strip()
        email = fields.get("email", [""])[0].strip()
        if not name or "@" not in email:
            return Answer(422, text=f"<p>A name and a mail address, please.</p>{_FORM}")
        try:
            self.sign_up(name, email)
        except AddressTakenError:
            return Answer(409, text=f"<p>That address is taken.</p>{_FORM}")
        except QueueTimeoutError:
            return Answer(503, text="<p>Something went wrong. Please try again.</p>")
        return Answer(201, text=f"<p>Welcome, {html.escape(name)}! A mail is on its way.</p>")

    def _resend_request(self, request: Request) -> Answer:
        body = request.json()
        person = body.get("person_id") if body else None
        if not request.id or not isinstance(person, str):
            return Answer(400, {"error": "Idempotency-Key and person_id are needed"})
        return self.resend(request.id, person)


def _clean(email: str) -> str:
    return email.strip().lower()


def _add_person(
    connection: Connection, person: str, name: str, email: str, status: str, at: datetime
) -> None:
    row = {"id": person, "name": name, "email": email, "status": status, "created_at": at}
    try:
        connection.execute(insert(people).values(row))
    except IntegrityError as error:
        raise AddressTakenError from error


def _add_job(connection: Connection, person: str, at: datetime, batch: str = "") -> None:
    row: dict[str, Any] = {"request_id": f"{WELCOME}-{person}", "person_id": person}
    row |= {
        "template": WELCOME,
        "state": "waiting",
        "batch": batch,
        "not_before": at,
        "created_at": at,
    }
    connection.execute(insert(jobs).values(row))


def _has_address(connection: Connection, email: str) -> bool:
    query = select(people.c.id).where(people.c.email == email)
    return connection.execute(query).first() is not None


def _exists(connection: Connection, person: str) -> bool:
    return connection.execute(select(people.c.id).where(people.c.id == person)).first() is not None


def _queue_again(connection: Connection, person: str) -> None:
    """Make the job if there is none; wake it if it has ended; else it comes anyway."""
    welcome = (jobs.c.person_id == person, jobs.c.template == WELCOME)
    state = connection.execute(select(jobs.c.state).where(*welcome)).scalar()
    if state is None:
        _add_job(connection, person, tables.now())
    elif state not in ("waiting", "running"):
        values = {"state": "waiting", "not_before": tables.now()}
        connection.execute(update(jobs).where(*welcome).values(values))


def _earlier_answer(request_id: str, person: str, earlier: str) -> Answer:
    if earlier != person:
        return Answer(422, {"error": "this id was used for another person"})
    return Answer(202, {"id": request_id, "queued": True}, {"Idempotent-Replayed": "true"})


def main() -> None:
    """Serve the application until it is stopped."""
    url = os.environ.get("APP_DATABASE_URL", "sqlite:///app.db")
    service = Service(App(tables.connect(url, tables.app), switched_on()), 8000)
    service.serve_forever()


if __name__ == "__main__":
    main()
