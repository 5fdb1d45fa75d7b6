"""What `status` prints about mails that are held back: silences, announced changes, noise."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from sanityd.model import NoiseState, Silence
    from sanityd.rules.rule import RuleSet


def print_all(console: Any, connection: "Connection", rules: "RuleSet", at: "datetime") -> None:
    """Print them; of the noise, only about these rules."""
    _silences(console, connection, at)
    _announced(console, connection, at)
    _noise(console, connection, rules, at)


def _silences(console: Any, connection: "Connection", at: "datetime") -> None:
    from sanityd.alerts.compose.sanitize import display_value
    from sanityd.cli import terminal
    from sanityd.store import silences

    for silence in silences.list_active(connection, at):
        subject = display_value(_silence_subject(silence))
        end = terminal.until(silence.until, at)
        decision = (
            f"until {end} by {display_value(silence.author)}: {display_value(silence.reason)}"
        )
        console.print(terminal.signed(terminal.MILD, f"silenced: {subject} {decision}"))


def _announced(console: Any, connection: "Connection", at: "datetime") -> None:
    """Print the mass changes that are announced and not over."""
    from sanityd.alerts.compose.sanitize import display_value
    from sanityd.cli import terminal
    from sanityd.store import announced_changes

    for change in announced_changes.list_active(connection, at):
        words = (
            f"announced: {display_value(change.ticket)} until {terminal.until(change.until, at)}"
            f" by {display_value(change.author)}: {display_value(change.reason)}"
        )
        console.print(terminal.signed(terminal.MILD, words))


def _silence_subject(silence: "Silence") -> str:
    parts = []
    if silence.rule:
        parts.append(silence.rule)
    if silence.tag:
        parts.append(f"tag {silence.tag}")
    if silence.source:
        parts.append(silence.source)
    return " ".join(parts) or "everything"


def _noise(console: Any, connection: "Connection", rules: "RuleSet", at: "datetime") -> None:
    """Print the rules that are flapping or downgraded, or will be downgraded."""
    from sanityd.cli import terminal
    from sanityd.store import noise_state

    for rule, state in noise_state.all_of(connection).items():
        if rule not in rules.rules:
            continue
        for sentence in _noise_sentences(rule, state, at):
            console.print(terminal.signed(terminal.MILD, f"{rule}: {sentence}"))


def _noise_sentences(rule: str, state: "NoiseState", at: "datetime") -> list[str]:
    from sanityd.cli import terminal

    sentences = []
    if state.flapping_since:
        since = terminal.since(state.flapping_since, at)
        sentences.append(f"flapping since {since}, so it is not mailed")
    if state.due:
        due = terminal.until(state.due, at)
        sentences.append(f"will be downgraded {due}; `sanityd noise undo {rule}` prevents it")
    elif state.steps:
        sentences.append(state.sentence)
    if state.mails_from is not None and at < state.mails_from:
        begin = terminal.until(state.mails_from, at)
        sentences.append(
            f"nobody acted on {state.ignored} mails, so the next one comes {begin}, "
            f"unless it is worse than usual"
        )
    return sentences
