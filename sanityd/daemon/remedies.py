"""Remedies of the daemon: a thread of their own, so that no slow receiver delays mails."""

import logging
import threading
from collections.abc import Callable

from sanityd import telemetry
from sanityd.errors import StoreError
from sanityd.pipeline.remedies import running
from sanityd.rules.rule import RuleSet
from sanityd.store.open import Store

log = logging.getLogger(__name__)
#: How long one round may take, in seconds; what is left is for the next.
_ROUND = 60.0
#: How long a process that stops waits for the answer to a request, in seconds: the usual timeout.
GRACE = 10.0


class RemedyWorker:
    """Plans and sends remedies, one round at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread: threading.Thread | None = None

    def start(self, rules: RuleSet, stop: Callable[[], bool]) -> None:
        """Begin a round unless one is running, or no rule has a remedy.

        Parameters: `stop` is asked between two requests.
        """
        is_running = self._thread is not None and self._thread.is_alive()
        if is_running or not running.with_remedies(rules):
            return
        self._thread = threading.Thread(
            target=self._round, args=(rules, stop), name="sanityd-remedies", daemon=True
        )
        self._thread.start()

    def close(self, grace: float = GRACE) -> None:
        """Wait until the answer to the request that is out is recorded. To be called before the
        store is closed, when `stop` of `start` is true.

        Parameters: `grace` is for how many seconds at most; a request without an answer by then is
        sent again, under its id, by the process that follows.
        """
        if self._thread is None:
            return
        self._thread.join(grace)
        if self._thread.is_alive():
            log.warning("a request of a remedy has no answer yet; it will be sent again")

    def _round(self, rules: RuleSet, stop: Callable[[], bool]) -> None:
        try:
            summary = running.run_pass(rules, self._store, seconds=_ROUND, stop=stop)
        except StoreError as error:
            log.error("remedies failed: %s. %s", error.message, error.hint)
        except Exception as error:  # noqa: BLE001  # the daemon goes on
            telemetry.capture(error)
            log.error("remedies failed (%s)", type(error).__name__)
        else:
            if summary.text:
                log.info("remedies: %s", summary.text)
