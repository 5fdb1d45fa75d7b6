"""Telemetry: sanityd's log on stderr, and errors and check-ins to Sentry if SENTRY_DSN is set.

No text of a driver and no value of a row gets out: of an error that isn't sanityd's own, only the
type and the position in the code are logged or sent.
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
#: How many seconds a check-in may take.
CHECK_IN_SECONDS = 5.0
_connecting = threading.Lock()
_connected_to: str | None = None


def start(style: str = "text") -> None:
    """Start to log to stderr.

    Other packages are logged from warnings upwards only, because SQLAlchemy's debug lines quote
    rows.

    Parameters: `style` is `text`, `json` (one object per line) or `debug` (text, with sanityd's
    debug lines).
    """
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler.formatter, _TextFormatter):
            root.removeHandler(handler)
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter() if style == "json" else _TextFormatter())
    root.addHandler(handler)
    logging.getLogger("sanityd").setLevel(logging.DEBUG if style == "debug" else logging.INFO)


def capture(error: BaseException, **tags: str) -> None:
    """Send an error to Sentry if SENTRY_DSN is set. Never raises.

    Parameters: `tags` are words from the rules file.
    """
    _log.debug("captured: %s", tags, exc_info=error)
    dsn = os.environ.get("SENTRY_DSN", "").strip()
    if not dsn:
        return
    try:
        _send(dsn, error, tags)
    except Exception as failure:  # noqa: BLE001 (reporting an error must not fail)
        _log.warning(
            "sending an error to Sentry failed: %s. Check SENTRY_DSN.", type(failure).__name__
        )


def check_in(monitor: str, well: bool) -> bool:
    """Send a check-in to a monitor of Sentry Crons, if there are SENTRY_DSN and a monitor.

    Returns False when sending failed; never raises. Sentry's own answer is of no use: it returns
    an id even for check-ins that are never delivered.

    Parameters: `monitor` is the monitor's slug; `well` is whether all is well.
    """
    dsn = os.environ.get("SENTRY_DSN", "").strip()
    if not dsn or not monitor:
        return True
    try:
        _check_in(dsn, monitor, well)
    except Exception as failure:  # noqa: BLE001 (as above)
        _log.warning(
            "sending the heartbeat to Sentry failed: %s. Check SENTRY_DSN.", type(failure).__name__
        )
        return False
    return True


def _check_in(dsn: str, monitor: str, well: bool) -> None:
    import sentry_sdk
    from sentry_sdk.crons import capture_checkin

    _connect(dsn)
    capture_checkin(monitor_slug=monitor, status="ok" if well else "error")
    # A check-in that is still queued when a short command ends is lost.
    sentry_sdk.flush(timeout=CHECK_IN_SECONDS)


def _send(dsn: str, error: BaseException, tags: Mapping[str, str]) -> None:
    # Imported here, as it takes 0.1 s and 100 modules that most users don't need.
    import sentry_sdk

    _connect(dsn)
    sentry_sdk.capture_exception(error, tags=dict(tags))


def _connect(dsn: str) -> None:
    global _connected_to  # noqa: PLW0603 (the SDK's client is global, too)
    import sentry_sdk
    from sentry_sdk.integrations.atexit import AtexitIntegration

    with _connecting:
        if _connected_to == dsn:
            return
        sentry_sdk.init(
            dsn=dsn,
            release=f"sanityd@{__version__}",
            # The default ones would send log lines, command lines and requests. Atexit only
            # flushes, without a message.
            default_integrations=False,
            integrations=[AtexitIntegration(callback=lambda pending, timeout: None)],
            send_default_pii=False,
            include_local_variables=False,
            include_source_context=False,
            max_breadcrumbs=0,
            auto_session_tracking=False,
            before_send=_reduce_event,
        )
        _connected_to = dsn


_EVENT_FIELDS = (
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
_CHECK_IN_FIELDS = (
    "type",
    "event_id",
    "check_in_id",
    "monitor_slug",
    "status",
    "environment",
    "release",
    "sdk",
)
_FRAME_FIELDS = ("filename", "module", "function", "lineno", "in_app")


def _reduce_event(event: "Event", _hint: "Hint") -> "Event":
    """Return the event with only the fields listed above.

    So fields that a later version of the SDK adds are not sent.
    """
    fields: dict[str, Any] = dict(event)
    if fields.get("type") == "check_in":
        # The SDK passes check-ins here, too; they need other fields than errors.
        return _select(fields, _CHECK_IN_FIELDS)  # type: ignore[return-value]
    exceptions = fields.get("exception", {}).get("values", ())
    reduced: Any = _select(fields, _EVENT_FIELDS)
    reduced["exception"] = {"values": [_reduce_exception(value) for value in exceptions]}
    return reduced  # type: ignore[no-any-return]


def _select(fields: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: fields[name] for name in names if name in fields}


def _reduce_exception(value: Mapping[str, Any]) -> dict[str, Any]:
    is_own = value.get("module") == SanitydError.__module__
    frames = (value.get("stacktrace") or {}).get("frames", ())
    return {
        "type": value.get("type"),
        "module": value.get("module"),
        # sanityd's own messages contain no values; those of drivers quote rows and parameters.
        "value": value.get("value") if is_own else "",
        "stacktrace": {"frames": [_reduce_frame(frame) for frame in frames]},
    }


def _reduce_frame(frame: Mapping[str, Any]) -> dict[str, Any]:
    return {name: frame.get(name) for name in _FRAME_FIELDS}


class _TextFormatter(logging.Formatter):
    """Formatter of lines such as `2026-07-28T12:00:00Z warning sanityd.scheduler: message`.

    The type and position of an error follow, without its text.
    """

    def format(self, record: logging.LogRecord) -> str:
        level = record.levelname.lower()
        lines = [f"{_timestamp(record)} {level} {record.name}: {record.getMessage()}"]
        lines += [f"  {line}" for line in _error(record)]
        return "\n".join(lines)


class _JsonFormatter(_TextFormatter):
    """Formatter of the same as one JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "at": _timestamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        error = _error(record)
        if error:
            fields["error"] = error
        return json.dumps(fields, ensure_ascii=False)


def _timestamp(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _error(record: logging.LogRecord) -> list[str]:
    """Return the lines of a record's error and its causes, outermost first, each with frames."""
    lines: list[str] = []
    error = record.exc_info[1] if record.exc_info else None
    while error is not None:
        line = type(error).__name__
        if isinstance(error, SanitydError):
            line += f": {error.message}"
        lines += [line, *_frames(error.__traceback__)]
        error = _cause(error)
    return lines


def _cause(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None:
        return error.__cause__
    if error.__suppress_context__:
        return None
    return error.__context__


def _frames(trace: TracebackType | None) -> list[str]:
    """Return the four innermost frames."""
    return [
        f"  {os.path.basename(frame.filename)}:{frame.lineno} in {frame.name}"
        for frame in traceback.extract_tb(trace, limit=-4)
    ]


def envelope(dsn: str, event: Mapping[str, Any]) -> tuple[str, dict[str, str], bytes]:
    """Return URL, headers and body of the POST that sends an event to Sentry. Sends nothing.

    Raises ValueError when the DSN can't be read.
    """
    from sentry_sdk.envelope import Envelope
    from sentry_sdk.utils import BadDsn, Dsn

    try:
        auth = Dsn(dsn).to_auth(f"sanityd/{__version__}")
    except BadDsn:
        raise ValueError("not a DSN") from None
    body = Envelope(headers={"event_id": event["event_id"]})
    body.add_event(cast("Event", dict(event)))
    headers = {"X-Sentry-Auth": auth.to_header(), "Content-Type": "application/x-sentry-envelope"}
    return auth.get_api_url(), headers, body.serialize()
