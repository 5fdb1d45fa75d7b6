"""Tells somebody outside that all is well here, or that it isn't, so that silence is noticed: a URL and Sentry Crons.

Both are named in the environment: SANITYD_HEARTBEAT_URL, and SANITYD_SENTRY_MONITOR beside SENTRY_DSN.
"""

import logging
import os
from collections.abc import Sequence

from pydantic_core import PydanticCustomError

from sanityd import telemetry
from sanityd.alerts import http
from sanityd.errors import DeliveryError

log = logging.getLogger(__name__)

#: How long each may take, in seconds.
TIMEOUT = 10.0


def beat(complaints: Sequence[str] = ()) -> bool:
    """Say that all is well, or what isn't. Never raises; False when somebody who is named could not be told."""
    told = [
        _ping(not complaints),
        telemetry.check_in(os.environ.get("SANITYD_SENTRY_MONITOR", ""), not complaints),
    ]
    return all(told)


def _ping(well: bool) -> bool:
    """GET the URL, or the one below it that means failure. It is a secret: who has it can say that all is well."""
    url = os.environ.get("SANITYD_HEARTBEAT_URL", "").strip()
    if not url:
        return True
    try:
        target = http.target(url)
        http.get(target if well else target.below("fail"), timeout=TIMEOUT)
    except PydanticCustomError as error:
        log.warning("the heartbeat can't be sent: SANITYD_HEARTBEAT_URL: %s", error.message())
    except DeliveryError as error:
        log.warning("the heartbeat was not taken: %s", error.message)
    else:
        return True
    return False
