"""The mail as people get it: what stands in it, in which order, and what never does."""

import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from sanityd.model import Change, Fate, Key, Outcome, Reason, RuleFacts, Severity, Tracked
from tests.alerts.hostile import HOSTILE
from tests.alerts.samples import AT, RULE, incident, mail, opened, past, row, told

MANY = [row(number, ago=37 - number) for number in range(1, 38)]


class Page(HTMLParser):
    """The tags and the visible text of an HTML mail."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._hidden = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._hidden += tag in ("style", "title")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("style", "title")

    def handle_data(self, data: str) -> None:
        if not self._hidden and data.strip():
            self.words.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(self.words)


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
        "WHICH ONES       id 7     since 09:05\n"
        "                 id 77    since 09:05\n"
        "                 id 777   since 09:05\n"
        "\n"
        "LAST 14 RUNS     0 0 0 0 0 0 0 0 0 0 0 0 0 3\n"
        "\n"
        "LOOK YOURSELF    sanityd try every-person-has-a-welcome-mail\n"
        "                 (rules.yaml:21, revision 4f2c9e1)\n"
        "NEXT             You hear again when it doubles or is solved.\n"
        "\n"
        "You get this because the rule notifies `team-mail`. sanityd prod, 0.1.0,\n"
        "Europe/Berlin.\n"
    )


def test_the_html_says_the_same_in_the_same_order() -> None:
    text = Page(mail(opened()).html).text
    parts = [
        "error", "Every person has a welcome mail", "3 of 1,000 people have no sent welcome mail.",
        "First seen today 09:05. Checked 09:05, all 1,000 people in scope were read.",
        "WHY IT MATTERS", "Without it people never", "WHAT TO DO", "https://wiki.example.com/runbooks/welcome-mail",
        "OWNER", "payments", "WHICH ONES", "id since", "7 09:05", "77 09:05", "777 09:05", "LAST 14 RUNS", "0 0 0",
        "LOOK YOURSELF", "sanityd try every-person-has-a-welcome-mail", "rules.yaml:21, revision 4f2c9e1",
        "NEXT", "You hear again when it doubles or is solved.", "You get this because the rule notifies team-mail.",
    ]  # fmt: skip
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_what_the_rule_does_not_say_has_no_heading() -> None:
    bare = RuleFacts(id="bare", kind="query", source="app", table="", title="Bare")
    message = mail(opened([], total=1, rule=bare, history=()))
    for heading in ("WHY IT", "WHAT TO", "OWNER", "WHICH", "LAST"):
        assert heading not in message.text
        assert heading not in message.html
    assert "all 1,000 rows in scope were read" in message.text


def test_of_many_rows_it_lists_the_ten_newest_and_the_five_oldest() -> None:
    message = mail(opened(MANY, 5_000))
    listed = [int(number) for number in re.findall(r"id (\d+) ", message.text)]
    assert listed == [*range(37, 27, -1), *range(1, 6)]
    assert "and 4,985 more: `sanityd show every-person-has-a-welcome-mail`" in message.text
    assert "and 4,985 more: sanityd show every-person-has-a-welcome-mail" in Page(message.html).text


def test_fifteen_rows_are_all_listed_oldest_first() -> None:
    message = mail(opened(MANY[:15]))
    assert [int(number) for number in re.findall(r"id (\d+) ", message.text)] == list(range(1, 16))
    assert "more:" not in message.text


def test_an_escalation_says_what_was_known_and_what_is_new() -> None:
    alert = opened(
        MANY,
        reason=Reason.ESCALATED,
        incident=incident(37, severity=Severity.CRITICAL, opened_at=AT - timedelta(hours=25)),
        told=told(12),
        changes={Change.NEW: 25, Change.ONGOING: 12, Change.RESOLVED: 1},
    )
    text = " ".join(mail(alert).text.split())
    assert text.startswith("37 of 1,000 people have no sent welcome mail (12 at the last mail).")
    assert "First seen Sun 08:05, 25 h ago. It was an error at the last mail and is critical now." in text
    assert "Since the run before: 25 new, 1 solved." in text


def test_an_incomplete_look_does_not_claim_to_have_read_everything() -> None:
    text = " ".join(mail(opened(MANY, 5_000, complete=False)).text.split())
    assert "the number is exact, but there are too many to follow each of them" in text
    assert "were read" not in text


def test_rows_that_came_back_are_said_to() -> None:
    text = mail(opened(changes={Change.REGRESSED: 1, Change.NEW: 2})).text
    assert "1 was solved within the last week and came back." in " ".join(text.split())


RESOLVED = opened(
    [],
    reason=Reason.RESOLVED,
    incident=incident(0, opened_at=AT - timedelta(minutes=70), resolved_at=AT, fates={Fate.FIXED: 2, Fate.ROW_GONE: 1}),
    told=told(3),
)


def test_a_resolved_mail_says_what_became_of_each_and_how_long_it_took() -> None:
    text = " ".join(mail(RESOLVED).text.split())
    assert text.startswith("3 were repaired (2) or deleted (1). It lasted 1 h 10 min, from today 07:55 to 09:05.")
    assert "You hear again if it comes back." in text
    assert "WHY IT MATTERS" not in text


def test_what_nobody_saw_is_not_called_checked_or_repaired() -> None:
    closed = replace(RESOLVED, incident=replace(RESOLVED.incident, fates={Fate.RULE_REMOVED: 3}))
    text = mail(closed).text
    assert text.startswith("3 were not looked at again, because the rule left the rules file.")
    assert "Checked" not in text
    assert "repaired" not in text
    assert "You hear again" not in text


def test_the_subject_has_the_state_in_front_and_a_tail_that_stays() -> None:
    tail = "Every person has a welcome mail (every-person-has-a-welcome-mail)"
    assert mail(opened()).subject == f"[ERROR] {tail}"
    assert mail(opened(incident=incident(severity=Severity.CRITICAL))).subject == f"[CRITICAL] {tail}"
    assert mail(RESOLVED).subject == f"[RESOLVED] {tail}"


@pytest.mark.parametrize("title", HOSTILE, ids=range(len(HOSTILE)))
def test_a_subject_is_one_short_line_of_ascii(title: str) -> None:
    subject = mail(opened(rule=replace(RULE, title=title, id="r" * 90))).subject
    assert subject.isascii()
    assert subject.isprintable()
    assert len(subject) <= 120


def test_later_mails_refer_to_the_first() -> None:
    first = mail(opened())
    second = mail(opened(reason=Reason.ESCALATED, told=told(1)))
    third = mail(RESOLVED)
    assert "References" not in first.headers
    for later in (second, third):
        assert later.headers["In-Reply-To"] == later.headers["References"] == first.message_id
    assert len({first.message_id, second.message_id, third.message_id}) == 3


def test_the_same_news_has_the_same_message_id_and_each_recipient_another() -> None:
    assert mail(opened()).message_id == mail(opened(at=AT + timedelta(hours=1))).message_id
    assert mail(opened()).message_id != mail(opened(), "other@example.com").message_id


def test_the_headers_keep_auto_responders_quiet_and_filters_happy() -> None:
    headers = mail(opened()).headers
    assert dict(headers) == {
        "Date": "Mon, 23 Nov 2026 09:05:00 +0100",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "OOF, AutoReply",
        "List-Id": "sanityd alerts <alerts.prod.sanityd>",
        "X-Sanityd-Rule": RULE.id,
        "X-Sanityd-Incident": "inc-1",
        "X-Sanityd-Event": "opened",
        "X-Sanityd-Severity": "error",
    }


def _hostile_row(value: str) -> Tracked:
    key: Key = {"id": value}
    return Tracked("print", key, True, AT, AT, shown={"name": value, value[:30]: 1}, detail=value)


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_arrive_as_text(value: str) -> None:
    """Nothing that a row or a rule says becomes markup, a template, a control character or another header."""
    rule = replace(RULE, title=value, why=value, fix=value, owner=value)
    alert = opened([_hostile_row(value)], sentence=value or "x", rule=rule, channel=value)
    harmless, message = Page(mail(opened([_hostile_row("v")], rule=RULE)).html), mail(alert)
    page = Page(message.html)
    assert all(line.isprintable() for line in message.text.splitlines())
    assert all(line.isprintable() for line in message.html.splitlines())
    assert all(header.isprintable() and header.isascii() for header in message.headers.values())
    known = {tag for tag, _ in harmless.tags} | {"br"}
    assert {tag for tag, _ in page.tags} <= known
    attributes = {name for _, attrs in page.tags for name in attrs}
    assert attributes <= {name for _, attrs in harmless.tags for name in attrs} | {"href"}
    assert "49" not in page.text


def test_a_hostile_value_can_still_be_recognised() -> None:
    value = "<b>\x1b[1m{{ 7 }}\u202e\r\nBcc: x"
    message = mail(opened([_hostile_row(value)]))
    assert "<b>\\x1b[1m{{ 7 }}\\u202e\\r\\nBcc: x" in " ".join(message.text.split())
    assert "<b>\\x1b[1m{{ 7 }}\\u202e\\r\\nBcc: x" in Page(message.html).text


@pytest.mark.parametrize("value", ["&" * 5_000, "'\"<>" * 5_000, "\u202e" * 5_000, "漢" * 5_000, "x y" * 5_000])
@pytest.mark.parametrize("columns", [1, 5, 40])
def test_the_worst_mail_stays_below_the_size_at_which_mails_are_cut(value: str, columns: int) -> None:
    shown = {f"{value[:100]}{number}": value for number in range(columns)}
    rows = [replace(row(n, shown=shown, detail=value), key={f"{value[:100]}k": value, "n": n}) for n in range(40)]
    rule = replace(RULE, title=value, why=value, fix=value, owner=value, location=value)
    message = mail(opened(rows, 10**9, rule=rule, sentence=value, history=past(*[10**9] * 14), channel=value))
    assert len(message.html.encode()) < 90_000


def test_only_web_addresses_of_the_rule_become_links() -> None:
    rule = replace(RULE, fix="see https://wiki.example.com/a?b=c&d=e, or javascript:alert(1)")
    page = Page(mail(opened([_hostile_row("https://evil.example/")], rule=rule)).html)
    assert [attrs["href"] for tag, attrs in page.tags if tag == "a"] == ["https://wiki.example.com/a?b=c&d=e"]


def test_nothing_is_loaded_from_elsewhere() -> None:
    html = mail(opened(MANY)).html
    assert not re.search(r"src=|url\(|@import|<link|<img|<script|<form|background=", html)


def test_only_keys_and_shown_columns_leave() -> None:
    """The violation's other attributes, such as fingerprints, stay where they are."""
    message = mail(opened([row(7, shown={"name": "Ana"})]))
    assert "print7" not in message.text + message.html
    assert "Ana" in message.text


def test_the_words_of_a_check_without_rows_are_not_said_twice() -> None:
    fault = Tracked("f", {"fault": "is too old"}, True, AT, AT, detail="is too old")
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
    assert not [tag for tag, attrs in Page(html).tags if tag in ("td", "p", "h1") and "style" not in attrs]


def test_runs_that_could_not_look_have_letters_instead_of_bars() -> None:
    history = past(0, Outcome.ERRORED, Outcome.SKIPPED, 3)
    message = mail(opened(history=history))
    assert "LAST 4 RUNS      0 E – 3" in message.text
    assert len(re.findall(r'class="bar bar', message.html)) == 2
