"""Alert → Message: the same content as text and as HTML. Adds form, nothing else, and sends nothing.

A template per reason, `templates/REASON.html` and `.txt`. They see a `Letter`, whose texts are harmless already
(`safe.py`); the HTML is escaped on top, in a sandbox, so that neither a row nor a template can do more than be read.
"""

import re
import textwrap
from dataclasses import dataclass
from datetime import tzinfo
from functools import cache

import css_inline
from jinja2 import PackageLoader, StrictUndefined, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from sanityd.alerts import wording
from sanityd.alerts.headers import headers, message_id, subject
from sanityd.alerts.history import Bar, bars
from sanityd.alerts.listing import Listing, listing
from sanityd.alerts.safe import escaped, paragraphs
from sanityd.model import Alert, Message, Reason

_LABEL, _WIDTH = 17, 80
_LINK = re.compile(r"(https?://[!-~]*[A-Za-z0-9/=#_-])")


@dataclass(frozen=True, slots=True)
class Letter:
    """All that a template may use, in the order in which it is read. What is empty is left out."""

    #: `error`, `critical`, or `resolved`: the word on top, which also picks its colour.
    state: str
    title: str
    headline: str
    facts: list[str]
    why: list[str]
    fix: list[str]
    owner: str
    rows: Listing
    history: tuple[Bar, ...]
    #: The rule's id, for commands.
    rule: str
    #: Where the rule stands and at which revision: `rules.yaml:21, revision 4f2c9e1`.
    place: str
    #: When people hear of it again.
    next: str
    #: Why this mail came, and from where.
    because: str


def render(
    alert: Alert,
    *,
    recipient: str,
    zone: tzinfo,
    version: str,
    instance: str = "",
    rows: int = 15,
    templates: object = None,
) -> Message:
    """The message that one recipient gets of an alert.

    Parameters: `zone` is the one in which times are told; `instance` names this sanityd where there are several;
    `rows` is how many are listed at most.
    """
    import types

    new, one = alert, alert.news[0]
    inc = one.incident or __import__("sanityd.model").model.Incident(
        "", one.rule.id, "", alert.at, __import__("sanityd.model").model.Severity.ERROR, 0
    )
    alert = types.SimpleNamespace(
        reason=alert.reason,
        at=alert.at,
        rule=one.rule,
        incident=inc,
        sentence=one.sentence,
        complete=one.complete,
        rows=one.rows,
        changes=one.changes,
        told=one.told,
        history=one.history,
        channel=alert.channel,
        key=alert.key,
    )
    letter = _letter(alert, zone, version, instance, rows)
    environment = _environment()
    name = alert.reason.value if alert.reason.value in ("opened", "resolved", "escalated") else "opened"
    return Message(
        message_id=message_id(alert, recipient, instance),
        channel=alert.channel,
        recipient=recipient,
        subject=subject(alert),
        text=environment.get_template(f"{name}.txt").render(letter=letter).strip() + "\n",
        html=_inliner().inline(environment.get_template(f"{name}.html").render(letter=letter)),
        headers=headers(alert, recipient, zone, instance),
        data={
            "event": new.reason.value,
            "incidents": [
                {
                    "rule": n.rule.id,
                    "incident": n.incident.id if n.incident else "",
                    "event": n.reason.value,
                    "violations": n.incident.violations if n.incident else 0,
                }
                for n in new.news
            ],
        },
        key=new.key,
    )


def _letter(alert: Alert, zone: tzinfo, version: str, instance: str, rows: int) -> Letter:
    rule, incident = alert.rule, alert.incident
    over = alert.reason is Reason.RESOLVED
    place = [escaped(rule.location), f"revision {escaped(rule.revision)}" if rule.revision else ""]
    return Letter(
        state="resolved" if over else incident.severity.label,
        title=escaped(rule.title),
        headline=wording.headline(alert),
        facts=wording.facts(alert, zone),
        why=paragraphs(rule.why),
        fix=paragraphs(rule.fix),
        owner=escaped(rule.owner),
        rows=listing(alert.rows, incident.violations, rule.key, rows, at=alert.at, zone=zone),
        history=bars(alert.history),
        rule=escaped(rule.id),
        place=", ".join(part for part in place if part),
        next=_next(alert),
        because=_because(alert, zone, version, instance),
    )


def _next(alert: Alert) -> str:
    if alert.reason is not Reason.RESOLVED:
        return "You hear again when it doubles or is solved."
    return "" if wording.unseen(alert.incident.fates) else "You hear again if it comes back."


def _because(alert: Alert, zone: tzinfo, version: str, instance: str) -> str:
    sender = " ".join(part for part in ("sanityd", escaped(instance)) if part)
    return f"You get this because the rule notifies `{escaped(alert.channel)}`. {sender}, {version}, {zone}."


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=PackageLoader("sanityd.alerts"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"linked": _linked, "beside": _beside, "filled": _filled, "aligned": _aligned}
    return environment


@cache
def _inliner() -> css_inline.CSSInliner:
    # Media queries can't be inlined; they stay in the head, for dark mode and narrow screens.
    return css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)


def _linked(text: str) -> Markup:
    """Words of the rules file as HTML in which addresses of web pages can be followed. Not for values of rows."""
    parts = _LINK.split(text)
    return Markup().join(Markup('<a href="{0}">{0}</a>').format(p) if i % 2 else p for i, p in enumerate(parts))


def _filled(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _beside(lines: list[str], label: str) -> str:
    """Lines of text in a column of their own, with a label before the first."""
    wrapped = []
    for line in lines:
        width = _WIDTH - _LABEL
        wrapped += textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""]
    labels = [label] + [""] * len(wrapped)
    return "\n".join(f"{label:<{_LABEL}}{line}".rstrip() for label, line in zip(labels, wrapped, strict=False))


def _aligned(rows: Listing) -> list[str]:
    """The rows as lines of text, `id 7   since 09:05`; the times stand below each other if there is room."""
    texts = [_row_text(rows, index) for index in range(len(rows.lines))]
    width = min(max((len(text) for text in texts), default=0), 44)
    lines = []
    for line, text in zip(rows.lines, texts, strict=True):
        lines += [f"{line.ages}:"] if line.ages else []
        lines.append(f"{text:<{width}}   since {line.since}")
    return lines


def _row_text(rows: Listing, index: int) -> str:
    line = rows.lines[index]
    named = [
        text if title == "and" else f"{title} {text}"
        for title, text in zip(rows.columns, line.cells, strict=True)
        if text
    ]
    return ", ".join([*named, line.detail] if line.detail else named)
