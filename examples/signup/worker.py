"""The worker: takes jobs from the queue, one after another, and asks the mailer to send.

At least once: a job of a worker that died is taken by the next one when its lease is over. The
request id makes it once. `python -m examples.signup.worker` works until it is stopped;
APP_DATABASE_URL names the database, MAILER_URL the mailer.
"""

import os
import time
import uuid
from collections.abc import Iterable
from datetime import timedelta
from http.client import HTTPException
from typing import Any

from sqlalchemy import Engine, Row, or_, select, update

from examples.signup import tables, web
from examples.signup.tables import jobs, people
from examples.signup.troubles import Trouble, switched_on

#: The longest wait between two attempts, as a multiple of the first.
_LONGEST = 32


class Worker:
    """Works off the queue.

    `lease` is after how long a job counts as given up by the worker that has it; `wait` is the
    time to the second attempt, which doubles with each.
    """

    def __init__(
        self,
        engine: Engine,
        mailer: str,
        troubles: Iterable[Trouble] = (),
        lease: timedelta = timedelta(seconds=30),
        wait: timedelta = timedelta(seconds=1),
        timeout: float = 10,
    ) -> None:
        self.engine = engine
        self.mailer = mailer
        self.troubles = frozenset(troubles)
        self.lease = lease
        self.wait = wait
        self.timeout = timeout

    def work(self) -> bool:
        """Do one job. Returns False when none is due."""
        job = self._claim()
        if job is None:
            return False
        query = select(people.c.email).where(people.c.id == job.person_id)
        with self.engine.connect() as connection:
            address = connection.execute(query).scalar()
        if address is None:
            # With the job in the person's transaction that means: the person is deleted.
            self._end(job, "dropped")
            return True
        body = {"person_id": job.person_id, "template": job.template, "address": address}
        self._end(job, self._ask(job, body))
        return True

    def work_until_empty(self, seconds: float) -> bool:
        """Work until no job is left; for some seconds at most. Returns whether none is left."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.work():
                continue
            if self.is_idle():
                return True
            time.sleep(self.wait.total_seconds())
        return False

    def is_idle(self) -> bool:
        """Return whether all jobs have ended."""
        query = select(jobs.c.request_id).where(jobs.c.state.in_(["waiting", "running"])).limit(1)
        with self.engine.connect() as connection:
            return connection.execute(query).first() is None

    def _claim(self) -> Row[Any] | None:
        at = tables.now()
        waiting = (jobs.c.state == "waiting") & (jobs.c.not_before <= at)
        given_up = (jobs.c.state == "running") & (jobs.c.leased_until < at)
        due = select(jobs).where(or_(waiting, given_up)).order_by(jobs.c.created_at).limit(1)
        values = {"state": "running", "leased_until": at + self.lease}
        with self.engine.begin() as connection:
            job = connection.execute(due).first()
            if job is None:
                return None
            # Only if nobody else was faster.
            mine = (jobs.c.request_id == job.request_id, jobs.c.attempts == job.attempts)
            claim = update(jobs).where(*mine).values(attempts=job.attempts + 1, **values)
            return job if connection.execute(claim).rowcount else None

    def _ask(self, job: Row[Any], body: dict[str, str]) -> str:
        """Ask the mailer; return the state that the job has now."""
        try:
            url = f"{self.mailer}/mails"
            answer = web.send("POST", url, body, self._request_id(job), self.timeout)
        except (OSError, HTTPException):
            return "waiting"  # it may have been sent; only the same id may be sent again
        if answer.status == 200 and answer.body.get("status") == "sent":
            return "done"
        return "failed" if answer.status in (400, 422) else "waiting"

    def _request_id(self, job: Row[Any]) -> str:
        if Trouble.RETRY_WITHOUT_ID in self.troubles:
            return uuid.uuid4().hex
        if Trouble.HALF_DONE_REPLAY in self.troubles:
            return f"{job.request_id}-run-{job.run}"
        return str(job.request_id)

    def _end(self, job: Row[Any], state: str) -> None:
        at = tables.now()
        values: dict[str, Any] = {"state": state, "leased_until": None}
        if state == "waiting":
            values["not_before"] = at + self.wait * min(2**job.attempts, _LONGEST)
        else:
            values["finished_at"] = at
        mine = (jobs.c.request_id == job.request_id, jobs.c.attempts == job.attempts + 1)
        with self.engine.begin() as connection:
            connection.execute(update(jobs).where(*mine).values(values))


def main() -> None:
    """Work until it is stopped."""
    url = os.environ.get("APP_DATABASE_URL", "sqlite:///app.db")
    mailer = os.environ.get("MAILER_URL", "http://127.0.0.1:8001")
    worker = Worker(tables.connect(url, tables.app), mailer, switched_on())
    while True:
        if not worker.work():
            time.sleep(1)


if __name__ == "__main__":
    main()
