"""What threads a mail, and what people filter it by."""

from dataclasses import replace

import pytest

from sanityd.model import Reason, Severity
from tests.alerts.hostile import HOSTILE
from tests.alerts.samples import ALL, KEY, ROOT, RULE, alert, incident, knew, mail, news, opened

TAIL = "Every person has a welcome mail (every-person-has-a-welcome-mail)"


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("opened", f"[ERROR] {TAIL}"),
        ("opened-systemic", f"[ERROR, SYSTEMIC] {TAIL}"),
        ("escalated", f"[ERROR] {TAIL}"),
        ("reminder", f"[ERROR] {TAIL}"),
        ("resolved", f"[RESOLVED] {TAIL}"),
        ("closed", f"[CLOSED] {TAIL}"),
        ("errored", f"[NOT CHECKED] {TAIL}"),
        ("resolved-errored", f"[CHECKED AGAIN] {TAIL}"),
        ("source_down", "[SOURCE DOWN] Source app"),
        ("resolved-source", "[ANSWERS AGAIN] Source app"),
        ("notice", f"[DOWNGRADE NOTICE] {TAIL}"),
        ("downgraded", f"[DOWNGRADED] {TAIL}"),
        (
            "resolved-several",
            "[RESOLVED] 2 rules: Every person has a welcome mail, No two people share an address",
        ),
    ],
)
def test_the_subject_has_the_state_in_front_and_a_tail_that_stays(name: str, subject: str) -> None:
    assert mail(ALL[name]).subject == subject


def test_the_subject_of_several_names_the_worst() -> None:
    assert mail(ALL["opened-several"]).subject.startswith(
        "[CRITICAL] 3 rules: No two people share an address, Every"
    )
    assert mail(ALL["summary"]).subject.startswith("[CRITICAL, SUMMARY] 5 incidents: ")


@pytest.mark.parametrize("title", HOSTILE, ids=range(len(HOSTILE)))
def test_a_subject_is_one_short_line_of_ascii(title: str) -> None:
    about = news(rule=replace(RULE, title=title, id="r" * 90))
    for subject in (mail(alert(about)).subject, mail(alert(about, about)).subject):
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


def test_a_higher_severity_is_a_new_state() -> None:
    assert (
        mail(opened(incident=incident(severity=Severity.CRITICAL))).subject == f"[CRITICAL] {TAIL}"
    )
