"""Who is told what, and why not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanityd.alerts.policy import decide, dedup_key
from sanityd.model import Incident, Outcome, Reason, Severity, Told
from tests.alerts.samples import AT, incident, run, told

CRITICAL, ERROR, WARNING, INFO = Severity.CRITICAL, Severity.ERROR, Severity.WARNING, Severity.INFO
OVER = {"resolved_at": AT}


@pytest.mark.parametrize(
    ("case", "now", "before", "reason"),
    [
        ("a new error", incident(), None, Reason.OPENED),
        ("a new critical", incident(severity=CRITICAL), None, Reason.OPENED),
        ("a warning is listed, not mailed", incident(severity=WARNING), None, Reason.MILD),
        ("so is an info", incident(severity=INFO), None, Reason.MILD),
        ("a warning that became an error", incident(), None, Reason.OPENED),
        ("the same rows again", incident(3), told(3), Reason.KNOWN),
        ("almost twice as many", incident(5), told(3), Reason.KNOWN),
        ("twice as many", incident(6), told(3), Reason.ESCALATED),
        ("fewer", incident(1), told(3), Reason.KNOWN),
        ("a higher severity", incident(3, severity=CRITICAL), told(3), Reason.ESCALATED),
        ("a higher severity with fewer rows", incident(2, severity=CRITICAL), told(3), Reason.ESCALATED),
        ("a lower severity", incident(3), told(3, CRITICAL), Reason.KNOWN),
        ("an error that became a warning", incident(2, severity=WARNING), told(3), Reason.KNOWN),
        ("a warning that doubled after an error was told", incident(9, severity=WARNING), told(3), Reason.KNOWN),
        ("twice nothing is nothing", incident(0), told(0), Reason.KNOWN),
        ("over", incident(0, **OVER), told(3), Reason.RESOLVED),
        ("over after it escalated", incident(0, **OVER), told(9, reason=Reason.ESCALATED), Reason.RESOLVED),
        ("over, and nobody knew", incident(0, **OVER), None, Reason.NEVER_TOLD),
        ("over, and said so already", incident(0, **OVER), told(0, reason=Reason.RESOLVED), Reason.KNOWN),
        ("open again after its end was told", incident(1), told(0, reason=Reason.RESOLVED), Reason.OPENED),
    ],
)
def test_every_situation_has_one_reason(case: str, now: Incident, before: Told | None, reason: Reason) -> None:
    assert decide(now, before, run()) is reason, case


@pytest.mark.parametrize("outcome", [Outcome.ERRORED, Outcome.SKIPPED])
@pytest.mark.parametrize("before", [None, told(1)])
@pytest.mark.parametrize("now", [incident(50), incident(0, **OVER)])
def test_a_run_that_could_not_look_tells_nothing(outcome: Outcome, before: Told | None, now: Incident) -> None:
    assert decide(now, before, run(outcome)) is Reason.UNKNOWN


severities = st.sampled_from(Severity)
counts = st.integers(0, 5000)
tolds = st.none() | st.builds(
    Told, st.sampled_from([Reason.OPENED, Reason.ESCALATED, Reason.RESOLVED]), counts, severities
)
looked = st.sampled_from([Outcome.COMPLETE, Outcome.TRUNCATED])


@given(severities, counts, tolds, looked)
def test_nothing_less_than_an_error_is_ever_mailed(
    severity: Severity, count: int, before: Told | None, outcome: Outcome
) -> None:
    reason = decide(incident(count, severity=severity), before, run(outcome))
    assert not reason.mails or severity >= ERROR


@given(severities, counts, tolds, looked)
def test_who_was_told_is_not_told_the_same_again(
    severity: Severity, count: int, before: Told | None, outcome: Outcome
) -> None:
    """Whatever was mailed, the next run that sees the same says nothing: repeating a pass can't double a mail."""
    now = incident(count, severity=severity)
    reason = decide(now, before, run(outcome))
    if reason.mails:
        assert decide(now, Told(reason, count, severity), run(outcome)) is Reason.KNOWN


@given(counts, tolds, looked)
def test_only_who_heard_of_the_beginning_hears_of_the_end(count: int, before: Told | None, outcome: Outcome) -> None:
    reason = decide(incident(count, resolved_at=AT), before, run(outcome))
    assert (reason is Reason.RESOLVED) == (before is not None and before.reason is not Reason.RESOLVED)


@given(st.integers(1, 5000), severities.filter(lambda s: s >= ERROR), st.lists(counts, max_size=30))
def test_the_last_mail_never_tells_less_than_half(first: int, severity: Severity, later: list[int]) -> None:
    """However the number wanders, what the recipient knows stays above half of it."""
    knows = Told(Reason.OPENED, first, severity)
    for count in later:
        now = incident(count, severity=severity)
        reason = decide(now, knows, run())
        knows = Told(reason, count, severity) if reason.mails else knows
        assert count < 2 * max(knows.violations, 1)


def test_the_same_news_has_the_same_key_whatever_the_number_is_by_now() -> None:
    assert dedup_key(incident(6), Reason.ESCALATED, told(3), "a", "x@y") == dedup_key(
        incident(7), Reason.ESCALATED, told(3), "a", "x@y"
    )


def test_news_for_others_or_of_other_things_has_another_key() -> None:
    keys = [
        dedup_key(incident(), Reason.OPENED, None, "a", "x@y"),
        dedup_key(incident(id="other"), Reason.OPENED, None, "a", "x@y"),
        dedup_key(incident(), Reason.ESCALATED, None, "a", "x@y"),
        dedup_key(incident(), Reason.ESCALATED, told(3), "a", "x@y"),
        dedup_key(incident(), Reason.ESCALATED, told(6), "a", "x@y"),
        dedup_key(incident(), Reason.ESCALATED, told(6, CRITICAL), "a", "x@y"),
        dedup_key(incident(), Reason.ESCALATED, Told(Reason.ESCALATED, 6, CRITICAL, sequence=2), "a", "x@y"),
        dedup_key(incident(), Reason.OPENED, None, "b", "x@y"),
        dedup_key(incident(), Reason.OPENED, None, "a", "z@y"),
    ]
    assert len(set(keys)) == len(keys)
