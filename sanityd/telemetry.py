"""What sanityd says of itself: its log on stderr, and faults to Sentry where SENTRY_DSN is set.

Nothing that a driver or a row said gets out: of an error that isn't our own only its type and its place are told.
"""

import json
import logging
import os
import threading
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from sanityd import __version__
from sanityd.errors import SanitydError

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

_log = logging.getLogger(__name__)
#: How long a check-in may take.
CHECK_IN_SECONDS = 5.0
_connecting = threading.Lock()
_connected_to: str | None = None


def start(style: str = "text") -> None:
    """Log to stderr from now on: as `text`, as `json` (one object per line), or `debug` (text, and our debug lines).

    Other packages' logs are kept from warnings upwards only, as SQLAlchemy's finer ones quote rows.
    """
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler.formatter, _Text)]:
        root.removeHandler(old)
    handler = logging.StreamHandler()
    handler.setFormatter(_Json() if style == "json" else _Text())
    root.addHandler(handler)
    logging.getLogger("sanityd").setLevel(logging.DEBUG if style == "debug" else logging.INFO)


def capture(error: BaseException, **tags: str) -> None:
    """Report a fault to Sentry, with words from the rules file as tags, if SENTRY_DSN is set. Never raises."""
    _log.debug("captured: %s", tags, exc_info=error)
    dsn = os.environ.get("SENTRY_DSN", "").strip()
    if not dsn:
        return
    try:
        _send(dsn, error, tags)
    except Exception as trouble:
        _log.warning(
            "Sentry can't be told of a fault: %s. Check SENTRY_DSN.", type(trouble).__name__
        )


def check_in(monitor: str, well: bool) -> bool:
    """Tell a monitor of Sentry Crons that all is well, or isn't, if there are SENTRY_DSN and a monitor. Never raises.

    False when it could not be told. Sentry's own answer says nothing: it gives an id even to what is never delivered.
    """
    dsn = os.environ.get("SENTRY_DSN", "").strip()
    if not dsn or not monitor:
        return True
    try:
        _check_in(dsn, monitor, well)
    except Exception as trouble:
        _log.warning(
            "Sentry can't be told of the heartbeat: %s. Check SENTRY_DSN.", type(trouble).__name__
        )
        return False
    return True


def _check_in(dsn: str, monitor: str, well: bool) -> None:
    import sentry_sdk
    from sentry_sdk.crons import capture_checkin

    _connect(dsn)
    capture_checkin(monitor_slug=monitor, status="ok" if well else "error")
    # What is only queued when a short command ends is lost.
    sentry_sdk.flush(timeout=CHECK_IN_SECONDS)


def _send(dsn: str, error: BaseException, tags: Mapping[str, str]) -> None:
    import sentry_sdk  # 0.1 s and 100 modules, which only those who use it should pay for

    _connect(dsn)
    sentry_sdk.capture_exception(error, tags=dict(tags))


def _connect(dsn: str) -> None:
    global _connected_to
    import sentry_sdk
    from sentry_sdk.integrations.atexit import AtexitIntegration

    with _connecting:
        if _connected_to == dsn:
            return
        sentry_sdk.init(
            dsn=dsn,
            release=f"sanityd@{__version__}",
            # The default ones would send log lines, command lines and requests. Atexit flushes, silently.
            default_integrations=False,
            integrations=[AtexitIntegration(callback=lambda pending, timeout: None)],
            send_default_pii=False,
            include_local_variables=False,
            include_source_context=False,
            max_breadcrumbs=0,
            auto_session_tracking=False,
            before_send=_harmless,
        )
        _connected_to = dsn


_KEPT = (
    "event_id",
    "timestamp",
    "platform",
    "level",
    "release",
    "environment",
    "server_name",
    "sdk",
    "tags",
)
_KEPT_OF_CHECK_INS = (
    "type",
    "event_id",
    "check_in_id",
    "monitor_slug",
    "status",
    "environment",
    "release",
    "sdk",
)
_KEPT_OF_FRAMES = ("filename", "module", "function", "lineno", "in_app")


def _harmless(event: "Event", _hint: "Hint") -> "Event":
    """The event with nothing in it but what is named here: what the SDK adds one day stays out by itself."""
    everything: dict[str, Any] = dict(event)
    if everything.get("type") == "check_in":
        # The SDK asks here for these, too; stripped of their words they would be no check-ins any more.
        return {name: everything[name] for name in _KEPT_OF_CHECK_INS if name in everything}  # type: ignore[return-value]
    kept: Any = {name: everything[name] for name in _KEPT if name in everything}
    kept["exception"] = {
        "values": [_exception(value) for value in everything.get("exception", {}).get("values", ())]
    }
    return kept  # type: ignore[no-any-return]


def _exception(value: Mapping[str, Any]) -> dict[str, Any]:
    ours = value.get("module") == SanitydError.__module__
    frames = (value.get("stacktrace") or {}).get("frames", ())
    return {
        "type": value.get("type"),
        "module": value.get("module"),
        # Our own messages hold no values; those of drivers quote rows and parameters.
        "value": value.get("value") if ours else "",
        "stacktrace": {
            "frames": [{name: frame.get(name) for name in _KEPT_OF_FRAMES} for frame in frames]
        },
    }


class _Text(logging.Formatter):
    """`2026-07-28T12:00:00Z warning sanityd.scheduler: message`, with an error's place but not its words."""

    def format(self, record: logging.LogRecord) -> str:
        head = f"{_moment(record)} {record.levelname.lower()} {record.name}: {record.getMessage()}"
        return "\n".join([head, *(f"  {line}" for line in _error(record))])


class _Json(_Text):
    """The same as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, object] = {
            "at": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if error := _error(record):
            said["error"] = error
        return json.dumps(said, ensure_ascii=False)


def _moment(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, UTC)
        .isoformat(timespec="seconds")
        .replace("+00:00", "Z")
    )


def _error(record: logging.LogRecord) -> list[str]:
    """The error of a record and its causes, outermost first, each with its innermost frames."""
    lines: list[str] = []
    error = record.exc_info[1] if record.exc_info else None
    while error is not None:
        words = f": {error.message}" if isinstance(error, SanitydError) else ""
        lines += [f"{type(error).__name__}{words}", *_frames(error.__traceback__)]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return lines


def _frames(trace: TracebackType | None) -> list[str]:
    found = traceback.extract_tb(trace, limit=-4)
    return [
        f"  {os.path.basename(frame.filename)}:{frame.lineno} in {frame.name}" for frame in found
    ]


def envelope(dsn: str, event: Mapping[str, Any]) -> tuple[str, dict[str, str], bytes]:
    """What is to be posted, with which headers, and where, to give Sentry an event. Sends nothing.

    Raises ValueError when the DSN can't be read.
    """
    from sentry_sdk.envelope import Envelope
    from sentry_sdk.utils import BadDsn, Dsn

    try:
        auth = Dsn(dsn).to_auth(f"sanityd/{__version__}")
    except BadDsn:
        raise ValueError("not a DSN") from None
    made = Envelope(headers={"event_id": event["event_id"]})
    made.add_event(cast("Event", dict(event)))
    headers = {"X-Sentry-Auth": auth.to_header(), "Content-Type": "application/x-sentry-envelope"}
    return auth.get_api_url(), headers, made.serialize()
