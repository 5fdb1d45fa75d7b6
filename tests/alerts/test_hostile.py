"""Hostile values in every field of every mail: nothing runs, hides or splits a header."""

import json
import re
from dataclasses import replace
from email import message_from_bytes, policy
from typing import Any

import pytest

from sanityd.alerts.compose.digest_view import SECTIONS, DigestLine
from sanityd.alerts.compose.mime import address, as_email
from sanityd.model import Alert, Key, Message, News, Severity, TrackedViolation
from tests.alerts.compose.page import Page
from tests.alerts.hostile import HOSTILE
from tests.alerts.samples import (
    ALL,
    AT,
    DIGESTS,
    RULE,
    decided,
    digest,
    digest_mail,
    mail,
    news,
    opened,
    past,
    row,
)

SENDER = address("Sanity <sanity@example.com>")
KNOWN = Page(
    "".join(mail(about).html for about in ALL.values()) + digest_mail(DIGESTS["digest"]).html
)
TAGS = {tag for tag, _ in KNOWN.tags}
ATTRIBUTES = {name for _, attributes in KNOWN.tags for name in attributes}
STYLES = {attributes.get("style") for _, attributes in KNOWN.tags}
CLASSES = {attributes.get("class") for _, attributes in KNOWN.tags}


def attacked_row(value: str) -> TrackedViolation:
    """A row whose every word is hostile."""
    key: Key = {"id": value, value[:30] or "k": 1}
    return TrackedViolation(
        "print", key, True, AT, AT, shown={"name": value, value[:31] or "s": value}, detail=value
    )


def attacked(about: Alert, value: str) -> Alert:
    """The alert with the value in every place that holds words."""
    return replace(
        about,
        news=tuple(_attacked_news(one, value) for one in about.news),
        channel=value,
        key=value,
    )


def _attacked_news(one: News, value: str) -> News:
    words: dict[str, Any] = dict.fromkeys(
        ("id", "title", "why", "fix", "owner", "location", "revision", "table", "source"), value
    )
    rule = replace(one.rule, **words, tags=(value,), key=(value,))
    words = dict.fromkeys(("id", "rule", "source", "error", "hint"), value)
    incident = one.incident and replace(one.incident, **words)
    return replace(
        one,
        rule=rule,
        incident=incident,
        sentence=value,
        noise=value,
        last_notification=one.last_notification and replace(one.last_notification, root=value),
        triage=one.triage and replace(one.triage, author=value, reason=value),
        rows=(attacked_row(value),) if one.rows else (),
    )


def assert_harmless(message: Message) -> None:
    """Nothing of it can do anything but be read."""
    page = Page(message.html)
    assert all(line.isprintable() for line in message.text.split("\n"))
    assert all(line.isprintable() for line in message.html.split("\n"))
    assert {tag for tag, _ in page.tags} <= TAGS | {"a", "br"}
    assert {name for _, attributes in page.tags for name in attributes} <= ATTRIBUTES | {"href"}
    assert {attributes.get("class") for _, attributes in page.tags} <= CLASSES
    assert all(_is_plain(attributes.get("style")) for _, attributes in page.tags)
    links = [attributes["href"] or "" for tag, attributes in page.tags if tag == "a"]
    assert all(link.startswith(("http://", "https://")) for link in links)
    assert "49" not in page.text
    assert len(message.html.encode()) < 90_000
    data = json.dumps(dict(message.data), ensure_ascii=False)
    assert data.isprintable()
    for header in (message.subject, message.message_id, *message.headers.values()):
        assert header.isascii()
        assert header.isprintable()


def _is_plain(style: str | None) -> bool:
    return style in STYLES or re.search(r"url|position|expression|import", style or "") is None


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_arrive_as_text_in_every_mail(value: str) -> None:
    assert len(set(HOSTILE)) >= 60
    for about in ALL.values():
        assert_harmless(mail(attacked(about, value)))


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_arrive_as_text_in_digests(value: str) -> None:
    lines = (DigestLine(value, value, Severity.ERROR, AT, value),) * 3
    about = digest(channel=value, quality=value, **dict.fromkeys(SECTIONS, lines))
    assert_harmless(digest_mail(about))


@pytest.mark.parametrize(
    "name", ["escalated-decided", "opened-several", "source_down", "downgraded"]
)
@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_no_value_adds_a_header_or_a_part(value: str, name: str) -> None:
    content = as_email(mail(attacked(ALL[name], value)), SENDER).as_bytes()
    usual = message_from_bytes(as_email(mail(ALL[name]), SENDER).as_bytes(), policy=policy.default)
    parsed = message_from_bytes(content, policy=policy.default)
    assert set(parsed.keys()) <= set(usual.keys()) | {
        "X-Sanityd-Incident",
        "In-Reply-To",
        "References",
    }
    assert len(list(parsed.iter_parts())) == 2
    assert max(len(line) for line in content.split(b"\r\n")) <= 998
    content.decode("ascii")


def test_a_hostile_value_can_still_be_recognised() -> None:
    value = "<b>\x1b[1m{{ 7 }}\u202e\r\nBcc: x"
    message = mail(opened([attacked_row(value)]))
    shown = "<b>\\x1b[1m{{ 7 }}\\u202e\\r\\nBcc: x"
    assert shown in " ".join(message.text.split())
    assert shown in Page(message.html).text
    assert json.dumps(shown)[1:-1] in json.dumps(dict(message.data))


def test_what_a_human_wrote_is_harmless_too() -> None:
    about = replace(
        ALL["escalated-decided"].news[0], triage=decided(author="<b>\x1b", reason="<i>\u202e")
    )
    assert_harmless(mail(replace(ALL["escalated-decided"], news=(about,))))


def test_a_command_can_be_pasted_whatever_a_rule_is_called() -> None:
    message = mail(opened(rule=replace(RULE, id="x; rm -rf ~ `id` $(id)")))
    assert "sanityd try 'x; rm -rf ~ `id` $(id)'\n" in message.text


@pytest.mark.parametrize(
    "value", ["&" * 5_000, "'\"<>" * 5_000, "\u202e" * 5_000, "漢" * 5_000, "x y" * 5_000]
)
@pytest.mark.parametrize("columns", [1, 5, 40])
@pytest.mark.parametrize("incidents", [1, 2, 5, 40])
def test_the_worst_mail_stays_below_the_size_at_which_mails_are_cut(
    value: str, columns: int, incidents: int
) -> None:
    shown = {f"{value[:100]}{number}": value for number in range(columns)}
    rows = [
        replace(row(n, shown=shown, detail=value), key={f"{value[:100]}k": value, "n": n})
        for n in range(40)
    ]
    rule = replace(RULE, id=value, title=value, why=value, fix=value, owner=value, location=value)
    about = news(rows, 10**9, rule=rule, sentence=value, noise=value, history=past(*[10**9] * 14))
    message = mail(Alert(about.reason, AT, (about,) * incidents, channel=value))
    assert len(message.html.encode()) < 90_000


@pytest.mark.parametrize("value", ["&" * 5_000, "漢" * 5_000, "\u202e" * 5_000])
def test_the_worst_digest_stays_below_it_too(value: str) -> None:
    lines = (DigestLine(value, value, Severity.CRITICAL, AT, value),) * 500
    message = digest_mail(digest(channel=value, quality=value, **dict.fromkeys(SECTIONS, lines)))
    assert len(message.html.encode()) < 90_000
