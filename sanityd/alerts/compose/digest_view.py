"""The digest: one mail a day with warnings, open and silenced incidents, and sanityd's own health.

A `Digest` is filled from the store, becomes a `DigestView` (sanitized texts) and then a `Message`.
Pure.
"""

import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from pathlib import Path

from sanityd.alerts.compose.headers import common, message_id
from sanityd.alerts.compose.sanitize import ascii_line, escape_hidden
from sanityd.alerts.compose.times import format_date, format_time
from sanityd.model import Message, Reason, Severity

#: The most lines of a digest, so that even the longest is not cut by mail programs.
MOST = 30
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SUBJECT = 120


@dataclass(frozen=True, slots=True)
class DigestLine:
    """One line: a rule (or source, or channel), a sentence about it, and how to act on it."""

    rule: str
    sentence: str
    severity: Severity | None = None
    since: datetime | None = None
    #: A complete command, as `sanityd ack RULE --for 3d --reason "…"`.
    command: str = ""
    #: Whether it is over; the severity is what it was.
    resolved: bool = False


@dataclass(frozen=True, slots=True)
class Digest:
    """The content of one recipient's digest, in the order in which it is read."""

    at: datetime
    recipient: str
    channel: str = ""
    #: About sanityd itself: rules that are overdue or errored, sources down, dead messages.
    health: tuple[DigestLine, ...] = ()
    #: Unacknowledged incidents, acknowledgements about to expire, announced downgrades.
    decisions: tuple[DigestLine, ...] = ()
    new: tuple[DigestLine, ...] = ()
    regressed: tuple[DigestLine, ...] = ()
    #: All other open incidents, the oldest first.
    open: tuple[DigestLine, ...] = ()
    #: Flapping, downgraded and silenced rules.
    noise: tuple[DigestLine, ...] = ()
    resolved: tuple[DigestLine, ...] = ()
    #: `28 d: 41 mails, 29 acted on`.
    quality: str = ""
    #: The number of rules that held at their last check.
    holding: int = 0
    #: The last entry of the audit, for `sanityd history --verify --head`: `1234:0a1b2c3d4e5f`.
    audit_head: str = ""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to report but that all rules held."""
        return not any(getattr(self, name) for name in SECTIONS)


#: The sections in their order: the heading, and the count in the headline.
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
class DigestEntry:
    """The sanitized texts of a line. `tone` is the colour of its state."""

    state: str
    tone: str
    rule: str
    sentence: str
    since: str
    command: str


@dataclass(frozen=True, slots=True)
class DigestSection:
    """A heading, its entries, and how many more there are."""

    title: str
    entries: list[DigestEntry]
    more: int


@dataclass(frozen=True, slots=True)
class DigestView:
    """All texts that the template of a digest may use."""

    state: str
    tone: str
    title: str
    headline: str
    facts: list[str]
    sections: list[DigestSection]
    because: str
    note: str = ""


def render_digest(
    digest: Digest, *, zone: tzinfo, version: str, instance: str = "", templates: Path | None = None
) -> Message:
    """Return the message.

    Its key follows from the recipient and the date in their time zone, so that a recipient gets at
    most one digest a day.
    """
    # Late, as in `render`.
    from sanityd.alerts.compose.templating import render_templates

    view = digest_view(digest, zone, version, instance)

    def variables(note: str) -> dict[str, object]:
        return {"letter": replace(view, note=note)}

    text, html = render_templates("digest", variables, templates)
    date = digest.at.astimezone(zone).date()
    identity = json.dumps([Reason.DIGEST.value, digest.channel, digest.recipient, date.isoformat()])
    key = hashlib.sha256(identity.encode()).hexdigest()
    name = f"sanityd {instance}" if instance else "sanityd"
    weekday = _DAYS[date.weekday()]
    subject = f"[DIGEST] {weekday} {format_date(digest.at, digest.at, zone)} ({name})"
    return Message(
        message_id=message_id(Reason.DIGEST, key, instance),
        channel=digest.channel,
        recipient=digest.recipient,
        subject=ascii_line(subject, _SUBJECT),
        text=text,
        html=html,
        headers=common(digest.at, zone, instance, Reason.DIGEST),
        data=_data(digest),
        key=key,
    )


def headline(digest: Digest) -> str:
    """Return the counts of all sections in one sentence."""
    counts = []
    for name, (_, words) in SECTIONS.items():
        count = len(getattr(digest, name))
        if count == 0:
            continue
        verb = "is" if count == 1 else "are"
        s = "s" if count == 1 else ""
        counts.append(words.format(f"{count:,}", s=s, **{"is": verb}))
    if not counts:
        return _held(digest.holding)
    text = ", ".join(counts)
    return f"{text[0].upper()}{text[1:]}."


def _held(count: int) -> str:
    # When nothing is checked, the digest must not sound as if all were well.
    if count == 0:
        return "No rule was checked."
    if count == 1:
        return "The one rule held."
    return f"All {count:,} rules held."


def digest_view(digest: Digest, zone: tzinfo, version: str, instance: str) -> DigestView:
    """Return the texts of a digest."""
    name = f"sanityd {escape_hidden(instance)}" if instance else "sanityd"
    local = digest.at.astimezone(zone)
    return DigestView(
        state="digest",
        tone=_tone(digest),
        title=f"{_DAYS[local.weekday()]} {format_date(digest.at, digest.at, zone)}",
        headline=headline(digest),
        facts=_facts(digest),
        sections=_sections(digest, zone),
        because=(
            f"You get this because `{escape_hidden(digest.channel)}` gets a digest. "
            f"{name}, {escape_hidden(version)}. Times are in {zone}.{_audit_head(digest)}"
        ),
    )


def _audit_head(digest: Digest) -> str:
    """Return the sentence that keeps the head of the audit out of reach of who alters the store."""
    if not digest.audit_head:
        return ""
    return f" The audit ends with {escape_hidden(digest.audit_head)}."


def _tone(digest: Digest) -> str:
    if digest.health:
        return "blind"
    if digest.empty and digest.holding:
        return "resolved"
    return "info"


def _facts(digest: Digest) -> list[str]:
    facts = []
    if digest.holding and not digest.empty:
        facts.append("1 rule holds" if digest.holding == 1 else f"{digest.holding:,} rules hold")
    if digest.quality:
        facts.append(escape_hidden(digest.quality, 300))
    return [f"{fact.rstrip('.')}." for fact in facts]


def _sections(digest: Digest, zone: tzinfo) -> list[DigestSection]:
    sections = []
    for name, lines in _listed(digest).items():
        if not lines:
            continue
        title, _ = SECTIONS[name]
        entries = [_entry(line, digest.at, zone) for line in lines]
        more = len(getattr(digest, name)) - len(lines)
        sections.append(DigestSection(title, entries, more))
    return sections


def _listed(digest: Digest) -> dict[str, Sequence[DigestLine]]:
    """Return the lines of each section that are listed, at most `MOST` together.

    The longest section is cut first, and of equally long ones the last.
    """
    counts = {name: min(len(getattr(digest, name)), MOST) for name in reversed(SECTIONS)}
    while sum(counts.values()) > MOST:
        longest = max(counts, key=counts.__getitem__)
        counts[longest] -= 1
    return {name: getattr(digest, name)[: counts[name]] for name in SECTIONS}


def _entry(line: DigestLine, at: datetime, zone: tzinfo) -> DigestEntry:
    label = line.severity.label if line.severity is not None else ""
    if line.resolved:
        label = "resolved"
    since = f"since {format_time(line.since, at, zone)}" if line.since is not None else ""
    return DigestEntry(
        state=label,
        tone=label or "info",
        rule=escape_hidden(line.rule, 60),
        sentence=escape_hidden(" ".join(line.sentence.split()), 150),
        since=since,
        command=escape_hidden(line.command, 140),
    )


def acknowledge_command(rule: str) -> str:
    """Return the command that acknowledges an incident of the rule."""
    return f'sanityd ack {shlex.quote(escape_hidden(rule))} --for 3d --reason "…"'


def _data(digest: Digest) -> dict[str, object]:
    """Return the JSON of a digest, for programs."""
    content: dict[str, object] = {
        "event": Reason.DIGEST.value,
        "at": digest.at.isoformat(),
        "holding": digest.holding,
        "quality": escape_hidden(digest.quality, 300),
    }
    for name, lines in _listed(digest).items():
        content[name] = [_json_line(line) for line in lines]
    if digest.audit_head:
        content["audit_head"] = escape_hidden(digest.audit_head)
    return content


def _json_line(line: DigestLine) -> dict[str, object]:
    return {
        "rule": escape_hidden(line.rule),
        "sentence": escape_hidden(line.sentence),
        "command": escape_hidden(line.command),
        "severity": line.severity.label if line.severity is not None else None,
        "since": line.since.isoformat() if line.since is not None else None,
    }
