"""The one mail a day that lists what is mild, old or quiet."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from sanityd.alerts.compose.digest_view import (
    MOST,
    SECTIONS,
    Digest,
    DigestLine,
    headline,
    render_digest,
)
from tests.alerts.compose.page import Page
from tests.alerts.samples import AT, DIGESTS, digest, digest_mail


def test_the_sections_stand_in_the_order_of_what_people_must_do() -> None:
    for text in (digest_mail(digest()).text, Page(digest_mail(digest()).html).text):
        positions = [text.index(title) for title, _ in SECTIONS.values()]
        assert positions == sorted(positions)


def test_the_text_says_what_matters_first_and_how_to_act() -> None:
    text = " ".join(digest_mail(digest()).text.split())
    assert text.startswith(
        "Something is wrong with the checker itself, 1 needs a decision, 1 is new, 1 came back,"
    )
    assert "205 rules hold. 28 d: 41 mails, 29 acted on." in text
    assert (
        "ERROR 2 keys, 5 rows are not unique; the acknowledgement by ana ends tomorrow "
        "no-duplicate-emails"
    ) in text
    assert 'since Sat 07:05 sanityd ack no-duplicate-emails --for 3d --reason "…"' in text
    assert "sanityd noise undo rates" in text


def test_a_section_without_lines_has_no_heading() -> None:
    text = digest_mail(digest(noise=(), health=())).text
    assert "QUIET" not in text
    assert "checker itself" not in text.lower()


@pytest.mark.parametrize(
    ("holding", "sentence"),
    [
        (214, "All 214 rules held."),
        (1, "The one rule held."),
        (0, "No rule was checked."),
    ],
)
def test_an_empty_digest_says_how_many_rules_held(holding: int, sentence: str) -> None:
    empty = Digest(AT, "ana@example.com", "team-mail", holding=holding)
    assert empty.empty
    assert digest_mail(empty).text.startswith(sentence)
    assert not digest().empty


def test_every_count_agrees_with_its_verb() -> None:
    two = tuple(DigestLine("r", "s") for _ in range(2))
    assert headline(Digest(AT, "a", decisions=two, new=two[:1], open=two)) == (
        "2 need a decision, 1 is new, 2 are still open."
    )


def test_a_long_section_is_cut_and_the_rest_counted() -> None:
    message = digest_mail(DIGESTS["digest-huge"])
    assert message.text.count("no-duplicate-emails --for") == MOST
    assert message.text.count("and 36 more: `sanityd status`") == 5
    assert json.dumps(dict(message.data)).count("--for") == MOST
    assert len(message.html.encode()) < 90_000


def test_a_recipient_has_one_digest_for_each_of_their_days() -> None:
    first, later = digest_mail(digest()), digest_mail(digest(at=AT + timedelta(hours=2)))
    assert first.key == later.key
    assert first.message_id == later.message_id == f"<digest.{first.key[:32]}@prod.sanityd>"
    others = (
        digest(recipient="ben@example.com"),
        digest(at=AT + timedelta(days=1)),
        digest(channel="other"),
    )
    assert len({first.key, *(digest_mail(other).key for other in others)}) == 4
    # 23:30 in Berlin is the next day in Auckland.
    late = replace(digest(), at=AT + timedelta(hours=14))
    away = render_digest(late, zone=ZoneInfo("Pacific/Auckland"), version="0.1.0")
    assert away.key != digest_mail(late).key


def test_the_subject_names_the_day_and_no_counts() -> None:
    assert digest_mail(digest()).subject == "[DIGEST] Mon 23 Nov (sanityd prod)"
    assert digest_mail(digest()).headers["X-Sanityd-Event"] == "digest"
    assert digest_mail(digest()).headers["Auto-Submitted"] == "auto-generated"


def test_both_parts_say_the_same() -> None:
    for about in DIGESTS.values():
        message = digest_mail(about)
        text_words, page_words = (
            set(re.sub(r"\W+", " ", text).lower().split())
            for text in (message.text, Page(message.html).text)
        )
        assert text_words <= page_words


def test_programs_get_the_same_lines() -> None:
    data = json.loads(json.dumps(dict(digest_mail(digest()).data)))
    assert data["event"] == "digest"
    assert data["holding"] == 205
    assert [line["rule"] for line in data["open"]] == ["status-is-known", "amounts-add-up"]
    assert data["new"][0]["severity"] == "error"
    assert list(data)[4:] == list(SECTIONS)
