"""The digest: what is mild, old or quiet, and whether the checker itself is well, as one mail a day. Pure.

Digest (filled from the store) → DigestLetter (harmless words) → Message
"""

import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, tzinfo
from pathlib import Path

from sanityd.alerts.compose.headers import common, message_id
from sanityd.alerts.compose.sanitize import ascii_line, escaped
from sanityd.alerts.compose.times import day, moment
from sanityd.model import Message, Reason, Severity

#: How many lines there are at most, so that even the worst stay below the size at which mails are cut.
MOST = 30
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SUBJECT = 120


@dataclass(frozen=True, slots=True)
class DigestLine:
    """One thing to know: of which rule (or source, or channel), in one sentence, and how to act on it."""

    rule: str
    sentence: str
    severity: Severity | None = None
    since: datetime | None = None
    #: A whole command, as `sanityd ack RULE --for 3d --reason "…"`.
    command: str = ""


@dataclass(frozen=True, slots=True)
class Digest:
    """All that one recipient's digest says, in the order in which it is read."""

    at: datetime
    recipient: str
    channel: str = ""
    #: Of the checker itself: overdue, errored, sources down, messages that are dead.
    health: tuple[DigestLine, ...] = ()
    #: Unacknowledged, about to expire, about to be downgraded.
    decisions: tuple[DigestLine, ...] = ()
    new: tuple[DigestLine, ...] = ()
    regressed: tuple[DigestLine, ...] = ()
    #: The rest that is open, the oldest first.
    open: tuple[DigestLine, ...] = ()
    #: Flapping, downgraded, silenced by whom until when.
    noise: tuple[DigestLine, ...] = ()
    resolved: tuple[DigestLine, ...] = ()
    #: `28 d: 41 mails, 29 acted on`.
    quality: str = ""
    #: How many rules held at their last look.
    holding: int = 0

    @property
    def empty(self) -> bool:
        """Whether there is nothing to say but that all rules held."""
        return not any(getattr(self, name) for name in SECTIONS)


#: The sections in their order: what stands above each, and how it is counted in the sentence on top.
SECTIONS = {
    "health": ("THE CHECKER ITSELF", "something is wrong with the checker itself"),
    "decisions": ("NEEDS A DECISION", "{} need{s} a decision"),
    "new": ("NEW", "{} {is} new"),
    "regressed": ("CAME BACK", "{} came back"),
    "open": ("STILL OPEN", "{} {is} still open"),
    "noise": ("QUIET", "{} {is} quiet"),
    "resolved": ("RESOLVED", "{} {is} resolved"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A line in harmless words. `tone` picks the colour of its state."""

    state: str
    tone: str
    rule: str
    sentence: str
    since: str
    command: str


@dataclass(frozen=True, slots=True)
class Section:
    """What stands below one heading, and how much more there is."""

    title: str
    entries: list[Entry]
    more: int


@dataclass(frozen=True, slots=True)
class DigestView:
    """All that the template of a digest may use."""

    state: str
    tone: str
    title: str
    headline: str
    facts: list[str]
    sections: list[Section]
    because: str
    note: str = ""


def render_digest(
    digest: Digest, *, zone: tzinfo, version: str, instance: str = "", templates: Path | None = None
) -> Message:
    """The message. Its key is the recipient and the day in their zone, so that no day has two of them."""
    # As in `render`.
    from sanityd.alerts.compose.templating import typeset

    letter = digest_view(digest, zone, version, instance)
    text, html = typeset("digest", lambda note: {"letter": replace(letter, note=note)}, templates)
    date = digest.at.astimezone(zone).date()
    identity = json.dumps([Reason.DIGEST.value, digest.channel, digest.recipient, date.isoformat()])
    key = hashlib.sha256(identity.encode()).hexdigest()
    name = " ".join(part for part in ("sanityd", instance) if part)
    return Message(
        message_id=message_id(Reason.DIGEST, key, instance),
        channel=digest.channel,
        recipient=digest.recipient,
        subject=ascii_line(
            f"[DIGEST] {_DAYS[date.weekday()]} {day(digest.at, digest.at, zone)} ({name})", _SUBJECT
        ),
        text=text,
        html=html,
        headers=common(digest.at, zone, instance, Reason.DIGEST),
        data=_data(digest),
        key=key,
    )


def headline(digest: Digest) -> str:
    """What matters most, in one sentence."""
    said = [
        words.format(
            f"{count:,}", s="s" if count == 1 else "", **{"is": "is" if count == 1 else "are"}
        )
        for name, (_, words) in SECTIONS.items()
        if (count := len(getattr(digest, name)))
    ]
    if not said:
        return _held(digest.holding)
    text = ", ".join(said)
    return f"{text[0].upper()}{text[1:]}."


def _held(count: int) -> str:
    """A checker that checks nothing must not sound as if all were well."""
    if count == 0:
        return "There is no rule that was looked at."
    return "The one rule held." if count == 1 else f"All {count:,} rules held."


def digest_view(digest: Digest, zone: tzinfo, version: str, instance: str) -> DigestView:
    """The words of a digest."""
    name = " ".join(part for part in ("sanityd", escaped(instance)) if part)
    local = digest.at.astimezone(zone)
    holding = "" if digest.empty or not digest.holding else _also_held(digest.holding)
    facts = [fact for fact in (holding, escaped(digest.quality, 300)) if fact]
    return DigestView(
        state="digest",
        tone="blind"
        if digest.health
        else "resolved"
        if digest.empty and digest.holding
        else "info",
        title=f"{_DAYS[local.weekday()]} {day(digest.at, digest.at, zone)}",
        headline=headline(digest),
        facts=[f"{fact.rstrip('.')}." for fact in facts],
        sections=[
            _section(
                SECTIONS[name][0], lines, len(getattr(digest, name)) - len(lines), digest.at, zone
            )
            for name, lines in _listed(digest).items()
            if lines
        ],
        because=f"You get this because `{escaped(digest.channel)}` gets a digest. {name}, {escaped(version)}, {zone}.",
    )


def _also_held(count: int) -> str:
    return "1 rule holds" if count == 1 else f"{count:,} rules hold"


def _listed(digest: Digest) -> dict[str, Sequence[DigestLine]]:
    """The lines of each section that are listed: the longest section is cut first, of equal ones the last."""
    counts = {name: min(len(getattr(digest, name)), MOST) for name in reversed(SECTIONS)}
    while sum(counts.values()) > MOST:
        counts[max(counts, key=counts.__getitem__)] -= 1
    return {name: getattr(digest, name)[: counts[name]] for name in SECTIONS}


def _section(
    title: str, lines: Sequence[DigestLine], more: int, at: datetime, zone: tzinfo
) -> Section:
    return Section(title, [_entry(line, at, zone) for line in lines], more)


def _entry(line: DigestLine, at: datetime, zone: tzinfo) -> Entry:
    label = line.severity.label if line.severity is not None else ""
    return Entry(
        state=label,
        tone=label or "info",
        rule=escaped(line.rule, 60),
        sentence=escaped(" ".join(line.sentence.split()), 150),
        since=f"since {moment(line.since, at, zone)}" if line.since is not None else "",
        command=escaped(line.command, 140),
    )


def acknowledge(rule: str) -> str:
    """The command that most lines offer."""
    return f'sanityd ack {shlex.quote(escaped(rule))} --for 3d --reason "…"'


def _data(digest: Digest) -> dict[str, object]:
    return {
        "event": Reason.DIGEST.value,
        "at": digest.at.isoformat(),
        "holding": digest.holding,
        "quality": escaped(digest.quality, 300),
        **{name: [_plain(line) for line in lines] for name, lines in _listed(digest).items()},
    }


def _plain(line: DigestLine) -> dict[str, object]:
    found = {field.name: getattr(line, field.name) for field in fields(line)}
    return {
        **{name: escaped(str(found[name])) for name in ("rule", "sentence", "command")},
        "severity": line.severity.label if line.severity is not None else None,
        "since": line.since.isoformat() if line.since is not None else None,
    }
