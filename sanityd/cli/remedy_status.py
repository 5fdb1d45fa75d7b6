"""What `check` and `status` say of remedies."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from sanityd.model.remedies import RemedyState
    from sanityd.rules.rule import RuleSet


def print_remedies(
    console: Any, connection: "Connection", rules: "RuleSet", at: "datetime"
) -> None:
    """Print the remedies that stopped, and requests that wait or need a person."""
    from sanityd.alerts.compose.sanitize import display_value
    from sanityd.cli import terminal
    from sanityd.store import remedies

    counts = remedies.counts(connection)
    for rule, status in remedies.statuses(connection, list(rules.rules)).items():
        if status.stopped_at is not None:
            since = terminal.since(status.stopped_at, at)
            line = f"{rule}: its remedy is stopped since {since}: {status.stopped}"
            console.print(terminal.signed(terminal.UNKNOWN, line))
            console.print(f'  `sanityd remedy {rule} --resume --reason "…"` lets it go on.')
        words = _count_words(counts.get(rule, {}))
        if words:
            error = display_value(remedies.last_error(connection, rule), 400)
            line = f"{rule}: requests to repair: {words}"
            if error:
                line += f"; last error: {error}"
            console.print(terminal.signed(terminal.MILD, line))


def _count_words(counts: "Mapping[RemedyState, int]") -> str:
    """Return the numbers of requests that wait or need a person; empty without any."""
    parts = []
    for state, count in counts.items():
        if state.is_waiting or state.is_problem:
            parts.append(f"{count:,} {state.value}")
    return ", ".join(parts)


def as_json(connection: "Connection", rules: "RuleSet") -> list[dict[str, object]]:
    """Return the same for `status --format json`: one object for each rule with requests."""
    from sanityd.model.remedies import RemedyState
    from sanityd.store import remedies

    counts = remedies.counts(connection)
    objects: list[dict[str, object]] = []
    for rule, status in remedies.statuses(connection, list(rules.rules)).items():
        stopped_at = status.stopped_at
        requests = counts.get(rule, {})
        objects.append(
            {
                "rule": rule,
                "stopped_since": stopped_at.isoformat() if stopped_at is not None else None,
                "stopped": status.stopped,
                "requests": {state.value: requests.get(state, 0) for state in RemedyState},
                "error": remedies.last_error(connection, rule),
            }
        )
    return objects
