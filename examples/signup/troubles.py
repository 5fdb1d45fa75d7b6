"""What can be switched on to see it go wrong. Each is a mistake that real applications make."""

import os
from enum import StrEnum


class Trouble(StrEnum):
    """One switch. The environment variable SIGNUP_TROUBLES lists those that are on."""

    #: The job is written after the person, in a transaction of its own, and the queue times out.
    QUEUE_TIMEOUT = "queue-timeout"
    #: The job is visible before the person is: the worker may be faster, or nobody comes.
    EVENT_BEFORE_COMMIT = "event-before-commit"
    #: The worker makes a new request id for each attempt.
    RETRY_WITHOUT_ID = "retry-without-id"
    #: The request id is that of the run: a batch that is started again sends everything again.
    HALF_DONE_REPLAY = "half-done-replay"
    #: Rows are inserted as they come: no validation, no job.
    IMPORT_PAST_VALIDATIONS = "import-past-validations"


def switched_on() -> frozenset[Trouble]:
    """Return the troubles of the environment. Raises ValueError for a name that is none."""
    names = os.environ.get("SIGNUP_TROUBLES", "").replace(",", " ").split()
    return frozenset(Trouble(name) for name in names)
