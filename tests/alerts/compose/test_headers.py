"""What threads a mail, and what people filter it by."""

from dataclasses import replace

import pytest

from sanityd.model import Cause, Reason, Resolution, Severity
from tests.alerts.hostile import HOSTILE
from tests.alerts.samples import (
    ALL,
    KEY,
    ROOT,
    RULE,
    alert,
    failed,
    incident,
    knew,
    mail,
    news,
    opened,
    over,
)

TITLE = "Every person has a welcome mail"
FACT = "people have no sent welcome mail"


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("opened", f"[ERROR] 3 {FACT}"),
        ("opened-systemic", f"[ERROR, SYSTEMIC] 40,000 {FACT}"),
        ("escalated", f"[WORSE] 37 {FACT}"),
        ("updated", f"[UPDATED] 4 {FACT}"),
        ("reminder", f"[STILL] 3 {FACT}"),
        ("resolved", f"[RESOLVED] {TITLE}: 2 repaired, 1 deleted"),
        ("closed", f"[CLOSED] {TITLE}: 3 not checked again"),
        ("errored", f"[NOT CHECKED] {TITLE}: the table app.mails has no column kind"),
        ("resolved-errored", f"[CHECKED AGAIN] {TITLE}, not checked for 1 h 10 min"),
        (
            "source_down",
            "[SOURCE DOWN] app does not answer, so 9 rules are not checked: "
            "the server refused the connection",
        ),
        ("resolved-source", "[ANSWERS AGAIN] Source app, down for 1 h 10 min"),
        (
            "notice",
            f"[DOWNGRADE NOTICE] {TITLE}: "
            "it will count as warning from 26 Nov on: 14 mails, none acted on",
        ),
        (
            "downgraded",
            f"[DOWNGRADED] {TITLE}: "
            "declared error, now warning since 2 Nov: 14 mails, none acted on",
        ),
        (
            "flapping",
            f"[FLAPPING STARTED] {TITLE}: it came and went 9 times in its last 19 runs (score 45)",
        ),
        (
            "resolved-several",
            f"[RESOLVED] 2 rules hold again: {TITLE}: 2 repaired, 1 deleted; "
            "No two people share an address...",
        ),
    ],
)
def test_the_subject_states_the_fact_with_its_number(name: str, subject: str) -> None:
    assert mail(ALL[name]).subject == subject


def test_the_subject_of_several_begins_with_the_worst() -> None:
    assert mail(ALL["opened-several"]).subject == (
        f"[CRITICAL] 3 rules are violated: 2 keys are not unique; 3 {FACT}; 37 people have no sent we..."
    )
    assert mail(ALL["summary"]).subject.startswith(
        "[CRITICAL, SUMMARY] 5 incidents: 2 keys are not unique; "
    )


def test_the_subject_says_what_is_critical() -> None:
    critical = incident(severity=Severity.CRITICAL)
    assert mail(opened(incident=critical)).subject == f"[CRITICAL] 3 {FACT}"
    worse = opened(reason=Reason.ESCALATED, incident=critical, last_notification=knew(1))
    assert mail(worse).subject == f"[WORSE, CRITICAL] 3 {FACT}"


@pytest.mark.parametrize("name", sorted(ALL))
def test_the_rule_is_named_in_a_header_and_in_the_body(name: str) -> None:
    about = ALL[name]
    message = mail(about)
    rule = about.news[0].rule
    assert rule.id in message.headers["X-Sanityd-Rule"]
    if rule.kind != "source" and len(about.news) < 10:
        assert rule.id in message.text
        assert rule.id in message.html


@pytest.mark.parametrize("title", HOSTILE, ids=range(len(HOSTILE)))
def test_a_subject_is_one_short_line_of_ascii(title: str) -> None:
    about = news(rule=replace(RULE, title=title, id="r" * 90), fact=f"3 {title}")
    gone = over(about, resolutions={Resolution.FIXED: 3})
    alerts = (alert(about), alert(about, about), alert(gone), alert(failed(Cause.ERRORED)))
    for subject in (mail(item).subject for item in alerts):
        assert subject.isascii()
        assert subject.isprintable()
        assert len(subject) <= 120


def test_later_mails_refer_to_the_first_of_each_thread() -> None:
    other = ROOT.replace("0", "1")
    assert "References" not in mail(opened()).headers
    later = mail(opened(reason=Reason.ESCALATED, last_notification=knew(1)))
    assert later.headers["In-Reply-To"] == later.headers["References"] == ROOT
    both = mail(
        alert(
            news(last_notification=knew(1)),
            news(last_notification=knew(1, root=other)),
            news(last_notification=knew(1)),
            news(),
        )
    )
    assert both.headers["In-Reply-To"] == ROOT
    assert both.headers["References"] == f"{ROOT} {other}"


@pytest.mark.parametrize(
    "root", ["", "x", "<a@b>\r\nBcc: x@y", "<a b@c>", "<@b>", "<ü@b>", f"<{'a' * 300}@b>"]
)
def test_what_is_no_message_id_is_not_referred_to(root: str) -> None:
    assert (
        "References"
        not in mail(opened(reason=Reason.ESCALATED, last_notification=knew(1, root=root))).headers
    )


def test_the_message_id_is_that_of_the_news_and_never_changes() -> None:
    assert mail(opened()).message_id == f"<opened.{KEY[:32]}@prod.sanityd>"
    assert mail(opened(sentence="other words")).message_id == mail(opened()).message_id
    odd = mail(opened(key="x>\r\nBcc: y")).message_id
    assert odd.isprintable()
    assert odd != mail(opened(key="y")).message_id


def test_the_headers_keep_auto_responders_quiet_and_filters_happy() -> None:
    assert dict(mail(opened()).headers) == {
        "Date": "Mon, 23 Nov 2026 09:05:00 +0100",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "OOF, AutoReply",
        "List-Id": "sanityd alerts <alerts.prod.sanityd>",
        "X-Sanityd-Rule": RULE.id,
        "X-Sanityd-Incident": "inc-1",
        "X-Sanityd-Event": "opened",
        "X-Sanityd-Severity": "error",
    }


def test_the_headers_of_several_name_as_many_as_there_is_room_for() -> None:
    headers = mail(ALL["opened-several"]).headers
    assert headers["X-Sanityd-Rule"] == f"{RULE.id}, no-duplicate-emails, third"
    assert headers["X-Sanityd-Severity"] == "critical"
    assert all(len(value) <= 200 for value in mail(ALL["summary-huge"]).headers.values())
