"""The heartbeat: tells a monitor outside whether sanityd works, so that silence is noticed.

It goes to a URL and to Sentry Crons. Both are named in the environment: SANITYD_HEARTBEAT_URL, and
SANITYD_SENTRY_MONITOR together with SENTRY_DSN.
"""

import logging
import os
from collections.abc import Sequence

from pydantic_core import PydanticCustomError

from sanityd import telemetry
from sanityd.alerts import http
from sanityd.errors import DeliveryError

log = logging.getLogger(__name__)

#: How long each request may take, in seconds.
TIMEOUT = 10.0


def beat(complaints: Sequence[str] = ()) -> bool:
    """Send a heartbeat, or a failure when there are complaints. Never raises.

    Returns False when one that is configured could not be sent.
    """
    is_well = not complaints
    pinged = _ping(is_well)
    monitor = os.environ.get("SANITYD_SENTRY_MONITOR", "")
    checked_in = telemetry.check_in(monitor, is_well)
    return pinged and checked_in


def _ping(is_well: bool) -> bool:
    """GET the URL, or the one below it that means failure.

    The URL is never logged: it is a secret, as whoever knows it can send heartbeats.
    """
    url = os.environ.get("SANITYD_HEARTBEAT_URL", "").strip()
    if not url:
        return True
    try:
        target = http.target(url)
        http.get(target if is_well else target.below("fail"), timeout=TIMEOUT)
    except PydanticCustomError as error:
        log.warning("the heartbeat can't be sent: SANITYD_HEARTBEAT_URL: %s", error.message())
        return False
    except DeliveryError as error:
        log.warning("the heartbeat failed: %s", error.message)
        return False
    return True
