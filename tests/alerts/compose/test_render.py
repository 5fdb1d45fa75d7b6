"""The mail as people get it: what stands in it, in which order, and what never does."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from sanityd.alerts.compose.email_view import MOST_PARTS
from sanityd.model import (
    Change,
    News,
    Outcome,
    Reason,
    Resolution,
    RuleFacts,
    Severity,
    TrackedViolation,
)
from tests.alerts.compose.page import Page
from tests.alerts.samples import (
    ALL,
    AT,
    MANY,
    RULE,
    alert,
    incident,
    knew,
    mail,
    news,
    opened,
    over,
    past,
    row,
    told,
)


def words(name: str) -> str:
    """The text of a mail on one line."""
    return " ".join(mail(ALL[name]).text.split())


def test_the_text_is_the_one_of_the_design() -> None:
    assert mail(opened()).text == (
        "3 of 1,000 people have no sent welcome mail.\n"
        "First seen today 09:05. Checked 09:05, all 1,000 people in scope were read.\n"
        "\n"
        "WHY IT MATTERS   Without it people never confirm their address and can't sign\n"
        "                 in.\n"
        "WHAT TO DO       https://wiki.example.com/runbooks/welcome-mail\n"
        "OWNER            payments\n"
        "\n"
        "VIOLATIONS       id 7     since 09:05\n"
        "                 id 77    since 09:05\n"
        "                 id 777   since 09:05\n"
        "\n"
        "LAST 14 RUNS     0 0 0 0 0 0 0 0 0 0 0 0 0 3\n"
        "\n"
        "CHECK BY HAND    sanityd try every-person-has-a-welcome-mail\n"
        "                 (rules.yaml:21, revision 4f2c9e1)\n"
        'ACKNOWLEDGE      sanityd ack every-person-has-a-welcome-mail --for 3d --reason "…"\n'
        "NEXT             You are notified again when there are 6 violations or more,\n"
        "                 when 1 more row violates it (not before 10:05), when it is\n"
        "                 resolved, or tomorrow 09:05.\n"
        "\n"
        "You get this because the rule notifies `team-mail`. sanityd prod, 0.1.0. Times\n"
        "are in Europe/Berlin.\n"
    )


def test_the_html_says_the_same_in_the_same_order() -> None:
    text = Page(mail(opened()).html).text
    parts = [
        "error", "Every person has a welcome mail", "3 of 1,000 people have no sent welcome mail.",
        "First seen today 09:05. Checked 09:05, all 1,000 people in scope were read.",
        "WHY IT MATTERS", "Without it people never",
        "WHAT TO DO", "https://wiki.example.com/runbooks/welcome-mail",
        "OWNER", "payments",
        "VIOLATIONS", "id since", "7 09:05", "77 09:05", "777 09:05",
        "LAST 14 RUNS", "0 0 0",
        "CHECK BY HAND", "sanityd try every-person-has-a-welcome-mail",
        "rules.yaml:21, revision 4f2c9e1",
        "ACKNOWLEDGE", 'sanityd ack every-person-has-a-welcome-mail --for 3d --reason "…"',
        "NEXT", "You are notified again when there are 6 violations or more, when 1 more row",
        "You get this because the rule notifies team-mail .",
    ]  # fmt: skip
    positions = [text.index(part) for part in parts]
    assert positions == sorted(positions)


def test_what_the_rule_does_not_say_has_no_heading() -> None:
    bare = RuleFacts(id="bare", kind="query", source="app", table="", title="Bare")
    message = mail(opened([], total=1, rule=bare, history=()))
    for heading in ("WHY IT", "WHAT TO", "OWNER", "VIOLATIONS", "LAST"):
        assert heading not in message.text
        assert heading not in message.html
    assert "all 1,000 rows in scope were read" in message.text


def test_of_many_rows_it_lists_the_ten_newest_and_the_five_oldest() -> None:
    message = mail(opened(MANY, 5_000))
    listed = [int(number) for number in re.findall(r"id (\d+) ", message.text)]
    assert listed == [*range(37, 27, -1), *range(1, 6)]
    assert "and 4,985 more: `sanityd show every-person-has-a-welcome-mail`" in message.text
    assert "and 4,985 more: sanityd show every-person-has-a-welcome-mail" in Page(message.html).text


def test_of_rows_that_were_found_at_the_same_time_none_is_the_newest() -> None:
    message = mail(opened([row(number) for number in range(1, 38)]))
    assert [int(number) for number in re.findall(r"id (\d+) ", message.text)] == list(range(1, 16))
    assert "newest" not in message.text


def test_fifteen_rows_are_all_listed_oldest_first() -> None:
    message = mail(opened(MANY[:15]))
    assert [int(number) for number in re.findall(r"id (\d+) ", message.text)] == list(range(1, 16))
    assert "more:" not in message.text


def test_an_escalation_says_what_was_known_and_what_is_new() -> None:
    about = opened(
        MANY,
        reason=Reason.ESCALATED,
        incident=incident(37, severity=Severity.CRITICAL, opened_at=AT - timedelta(hours=25)),
        last_notification=told(12),
        changes={Change.NEW: 25, Change.ONGOING: 12, Change.RESOLVED: 1},
    )
    text = " ".join(mail(about).text.split())
    assert text.startswith("37 of 1,000 people have no sent welcome mail (12 at the last mail).")
    assert (
        "First seen Sun 08:05, 25 h ago. It was an error at the last mail and is critical now."
        in text
    )
    assert "Since the previous run: 25 new, 1 resolved." in text


def test_an_incomplete_look_does_not_claim_to_have_read_everything() -> None:
    text = " ".join(mail(opened(MANY, 5_000, complete=False)).text.split())
    assert "the count is exact, but too many rows violate it to track each." in text
    assert "were read" not in text


def test_rows_that_came_back_are_said_to() -> None:
    text = mail(opened(changes={Change.REGRESSED: 1, Change.NEW: 2})).text
    assert "1 was resolved within the last week and came back." in " ".join(text.split())


def test_a_resolved_mail_says_what_became_of_each_and_how_long_it_took() -> None:
    text = " ".join(mail(ALL["resolved"]).text.split())
    assert text.startswith(
        "3 were repaired (2) or deleted (1). It lasted 1 h 10 min, from today 07:55 to 09:05."
    )
    assert "You are notified again if it comes back." in text
    assert "WHY IT MATTERS" not in text


def test_what_nobody_saw_is_not_called_checked_or_repaired() -> None:
    text = mail(alert(over(news(), resolutions={Resolution.RULE_REMOVED: 3}))).text
    assert text.startswith("3 were not checked again, because the rule was removed")
    assert "Checked" not in text
    assert "repaired" not in text
    assert "notified again" not in text


def test_only_web_addresses_of_the_rule_become_links() -> None:
    rule = replace(RULE, fix="see https://wiki.example.com/a?b=c&d=e, or javascript:alert(1)")
    page = Page(mail(opened([row(1, shown={"name": "https://evil.example/"})], rule=rule)).html)
    assert [attrs["href"] for tag, attrs in page.tags if tag == "a"] == [
        "https://wiki.example.com/a?b=c&d=e"
    ]


def test_nothing_is_loaded_from_elsewhere() -> None:
    for about in ALL.values():
        assert not re.search(
            r"src=|url\(|@import|<link|<img|<script|<form|background=", mail(about).html
        )


def test_only_keys_and_shown_columns_leave() -> None:
    """The violation's other attributes, such as fingerprints, stay where they are."""
    message = mail(opened([row(7, shown={"name": "Ana"})]))
    assert "print7" not in message.text + message.html
    assert "Ana" in message.text


def test_the_words_of_a_check_without_rows_are_not_said_twice() -> None:
    fault = TrackedViolation("f", {"fault": "is too old"}, True, AT, AT, detail="is too old")
    message = mail(opened([fault]))
    assert message.text.count("is too old") == 1
    assert Page(message.html).text.count("is too old") == 1


def test_many_columns_share_a_cell_on_a_phone() -> None:
    shown = {name: name.upper() for name in ("a", "b", "c", "d", "e")}
    message = mail(opened([row(7, shown=shown)]))
    assert "7 A B c C · d D · e E 09:05" in Page(message.html).text
    assert "id 7, a A, b B, c C · d D · e E   since 09:05" in message.text


def test_styles_are_inlined_and_dark_mode_stays_in_the_head() -> None:
    html = mail(opened()).html
    assert "prefers-color-scheme: dark" in html
    assert not [
        tag for tag, attrs in Page(html).tags if tag in ("td", "p", "h1") and "style" not in attrs
    ]


def test_runs_that_could_not_look_have_letters_instead_of_bars() -> None:
    history = past(0, Outcome.ERRORED, Outcome.SKIPPED, 3)
    message = mail(opened(history=history))
    assert "LAST 4 RUNS      0 E – 3" in message.text
    assert len(re.findall(r'class="bar bar', message.html)) == 2


def test_an_escalation_says_whose_decision_it_ends_and_why_it_was_made() -> None:
    text = words("escalated-decided")
    assert "The acknowledgement by ana of 3 Nov has ended: the count has doubled since." in text
    assert "It was given for this reason: The supplier repairs it." in text


def test_an_update_lists_what_is_new_before_what_was_known() -> None:
    text = words("updated")
    assert "2 new since the last mail of Sun 09:05." in text
    assert text.index("new since the last mail: id 4") < text.index("known before: id 1")
    assert text.index("or tomorrow 09:05.")


def test_a_reminder_says_for_how_long_it_has_been_so_and_when_the_next_comes() -> None:
    assert words("reminder").startswith(
        "Still open after 25 h: 3 of 1,000 people have no sent welcome mail."
    )
    assert "or tomorrow 09:05." in words("reminder")
    assert "The acknowledgement by ana ended today 09:05." in words("reminder-decided")


def test_what_could_not_be_verified_of_late_says_since_when() -> None:
    text = words("reminder-stale")
    assert "Not verified since today 08:05: this is the result of the check at 07:05." in text
    assert "were read" not in text


def test_one_fault_that_broke_many_rows_is_called_one() -> None:
    sentence = "This looks like one fault, not 40,000 separate ones: look for the common cause."
    assert sentence in words("opened-systemic")


def test_a_rule_that_fails_says_what_to_do_about_it_and_where_it_stands() -> None:
    text = words("errored")
    assert text.startswith(
        "This rule can't be checked: the table `app.mails` has no column `kind`. Since today 08:40."
    )
    assert "WHAT TO DO Correct the rule, or add the column." in text
    assert "(rules.yaml:21, revision 4f2c9e1)" in text
    assert "wiki.example.com" not in text
    assert "sanityd ack" not in text


def test_what_can_be_checked_again_is_not_called_repaired() -> None:
    assert words("resolved-errored").startswith(
        "The rule can be checked again. It lasted 1 h 10 min"
    )
    for name in ("resolved-errored", "resolved-source"):
        assert "repaired" not in words(name)
        assert "Checked 09:05" not in words(name)


def test_a_source_says_how_much_is_not_checked_and_what_follows_when_it_is_back() -> None:
    assert words("source_down").startswith(
        "`app` does not answer, so 9 rules are not checked: the server refused"
    )
    assert words("resolved-source").startswith("Source `app` answers again. It lasted 1 h 10 min")
    assert "Its rules were not checked meanwhile" in words("resolved-source")
    assert "sanityd lint --connect" in words("source_down")


@pytest.mark.parametrize(
    ("name", "first", "command"),
    [
        (
            "notice",
            "This rule will be downgraded to a warning on 26 Nov 09:05.",
            "STOP IT sanityd noise undo every-person",
        ),
        (
            "downgraded",
            "Declared error, now warning since 2 Nov: 14 mails, none acted on.",
            "UNDO IT sanityd noise undo",
        ),
        (
            "restored",
            "Declared error counts again: 3 of 4 incidents were acted on.",
            "ACKNOWLEDGE sanityd ack",
        ),
        (
            "flapping",
            "It came and went 9 times in its last 19 runs (score 45).",
            "ACKNOWLEDGE sanityd ack",
        ),
        (
            "calm",
            "It came and went for 3 d, and is solved now (score 20).",
            "CHECK BY HAND sanityd try",
        ),
    ],
)
def test_a_decision_about_noise_is_said_with_its_numbers_and_its_command(
    name: str, first: str, command: str
) -> None:
    assert words(name).startswith(first)
    assert command in words(name)


def test_every_mail_of_a_downgraded_rule_says_so_and_how_to_undo_it() -> None:
    line = (
        "Declared critical, now error since 2 Nov: 14 mails, none acted on; "
        "undo: `sanityd noise undo every-person"
    )
    assert line in words("opened-downgraded-once")
    assert line.replace("`", "") in Page(mail(ALL["opened-downgraded-once"]).html).text


def test_several_incidents_share_a_mail_the_worst_first() -> None:
    text = words("opened-several")
    assert text.startswith(
        "3 rules are violated: 1 critical, 2 errors. CRITICAL No two people share an address"
    )
    assert text.count("sanityd ack") == 3
    assert "and 34 more: `sanityd show third`" in text


def test_a_summary_says_the_state_of_each() -> None:
    text = words("summary")
    assert text.startswith(
        "5 incidents have updates: 1 critical, 1 error, 1 source down, 1 not checked, 1 resolved."
    )
    assert (
        text.index("CRITICAL No two")
        < text.index("ERROR Every")
        < text.index("SOURCE DOWN")
        < text.index("RESOLVED")
    )


def test_what_a_mail_has_no_room_for_is_counted() -> None:
    assert f"and {40 - MOST_PARTS} more: `sanityd status`" in words("summary-huge")


@pytest.mark.parametrize("name", ALL)
def test_both_parts_say_the_same(name: str) -> None:
    """Every word of the text is in the HTML, but for the words that replace table columns."""
    message = mail(ALL[name])
    page = re.sub(r"\W+", " ", Page(message.html).text).lower().split()
    text = re.sub(r"\W+", " ", message.text).lower().split()
    assert set(text) - set(page) <= {"since", "id", "name"} | set("e")
    assert len(message.html.encode()) < 90_000


@pytest.mark.parametrize(
    "reason", [reason for reason in Reason if reason.mails and reason is not Reason.DIGEST]
)
@pytest.mark.parametrize("bare", [True, False])
def test_every_reason_is_rendered_whatever_is_known(reason: Reason, bare: bool) -> None:
    rule = RuleFacts("", "", "", "", "")
    about = (
        News(reason, rule)
        if bare
        else replace(news(), reason=reason, last_notification=knew(0), looked_at=None, history=())
    )
    message = mail(alert(about, key=""))
    assert message.text.strip()
    assert message.subject


def test_one_more_row_than_fits_is_listed_and_the_worst_always() -> None:
    rows = [row(n, shown={"value": 41 - n}, ago=40 - n) for n in range(1, 41)]
    several = mail(alert(news(rows[:4]), news(rows)))
    first, second = several.text.split("sanityd ack")[:2]
    assert [f"id {n}," in first for n in (1, 2, 3, 4)] == [True] * 4
    assert "more:" not in first
    assert "id 1, value 40" in second


def test_a_mail_about_several_says_why_each_matters() -> None:
    message = mail(ALL["opened-several"])
    assert "Without it people never confirm their address" in message.text
    assert "Without it people never confirm their address" in message.html
