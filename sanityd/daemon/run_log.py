"""What became of the runs of a batch, for the log of the daemon."""

import logging

from sanityd.model import Change
from sanityd.pipeline import Result

log = logging.getLogger(__name__)


def log_result(result: Result) -> None:
    """Log one line about a rule that changed something, or that could not be checked."""
    run = result.run
    if run.error is not None:
        log.warning("%s: not checked: %s", run.rule, run.error)
    elif result.queued or set(result.changes) - {Change.ONGOING}:
        counts = ", ".join(f"{count} {change.value}" for change, count in result.changes.items())
        log.info(
            "%s: violations: %d (%s); messages queued: %d",
            run.rule,
            run.violations,
            counts,
            result.queued,
        )
