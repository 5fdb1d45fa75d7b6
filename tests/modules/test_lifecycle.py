"""What a run changes, row by row and for the incident."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanityd import lifecycle
from sanityd.model import (
    Cause,
    Change,
    Incident,
    Outcome,
    Resolution,
    Run,
    Severity,
    TrackedViolation,
    Transition,
    Violation,
    fingerprint,
)

AT = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
DAY = timedelta(days=1)


def mark(number: int) -> str:
    """The fingerprint of a row."""
    return fingerprint("r", "app", {"id": number})


def run(
    *rows: int,
    outcome: Outcome = Outcome.COMPLETE,
    at: datetime = AT,
    resolutions: dict[int, Resolution] | None = None,
    severity: Severity | None = Severity.ERROR,
) -> Run:
    """A run that found these rows."""
    return Run(
        "r", "unique", "app", at, outcome, violations=len(rows), rows=len(rows), checked=10,
        tracked=tuple(Violation({"id": row}) for row in rows), severity=severity if rows else None,
        resolutions={mark(row): fate for row, fate in (resolutions or {}).items()},
    )  # fmt: skip


def known(*rows: int, resolved: datetime | None = None) -> dict[str, TrackedViolation]:
    """Rows that were violations a day ago."""
    return {
        mark(row): TrackedViolation(
            mark(row), {"id": row}, resolved is None, AT - DAY, AT - DAY, resolved_at=resolved
        )
        for row in rows
    }


def changes(found: Iterable[Transition]) -> dict[int, Change]:
    """What changed, by row."""
    return {int(str(transition.key["id"])): transition.change for transition in found}


def test_rows_are_new_go_on_and_end() -> None:
    found = lifecycle.transitions(known(1, 2), run(2, 3, resolutions={1: Resolution.ROW_GONE}))
    assert changes(found) == {1: Change.RESOLVED, 2: Change.ONGOING, 3: Change.NEW}
    assert {transition.resolution for transition in found} == {None, Resolution.ROW_GONE}


def test_a_row_that_goes_on_keeps_its_beginning() -> None:
    [found] = lifecycle.transitions(known(1), run(1))
    assert found.since == AT - DAY


@pytest.mark.parametrize(
    ("ago", "change"), [(7 * DAY, Change.REGRESSED), (7 * DAY + timedelta(seconds=1), Change.NEW)]
)
def test_a_row_that_is_back_within_a_week_is_the_same_trouble(
    ago: timedelta, change: Change
) -> None:
    assert changes(lifecycle.transitions(known(1, resolved=AT - ago), run(1))) == {1: change}


@pytest.mark.parametrize("fate", [Resolution.RULE_REMOVED, Resolution.RULE_CHANGED])
def test_a_row_that_was_left_alone_because_of_the_rules_file_is_not_said_to_have_been_solved(
    fate: Resolution,
) -> None:
    before = {at: replace(row, resolution=fate) for at, row in known(1, resolved=AT - DAY).items()}
    assert changes(lifecycle.transitions(before, run(1))) == {1: Change.NEW}


def test_rows_that_were_only_counted_are_not_new_when_they_are_seen() -> None:
    """Two are followed of four that were counted: two of the three others may have been there all
    the time."""
    incident = Incident("one", "r", "app", AT - 2 * DAY, Severity.ERROR, 4)
    found = lifecycle.transitions(known(1, 2), run(2, 3, 4, 5), incident)
    assert changes(found) == {
        1: Change.RESOLVED, 2: Change.ONGOING, 3: Change.FOLLOWED, 4: Change.FOLLOWED, 5: Change.NEW
    }  # fmt: skip
    assert [one.since for one in found if one.change is Change.FOLLOWED] == [incident.opened_at] * 2


@pytest.mark.parametrize("outcome", [Outcome.ERRORED, Outcome.SKIPPED])
def test_a_fault_changes_nothing(outcome: Outcome) -> None:
    before = Incident("one", "r", "app", AT - DAY, Severity.ERROR, 2)
    blind = run(outcome=outcome, resolutions={1: Resolution.FIXED})
    assert lifecycle.transitions(known(1, 2), blind) == ()
    assert lifecycle.incident_after(before, blind, ()) is before
    assert lifecycle.incident_after(None, blind, ()) is None


def test_beyond_the_cap_only_rows_that_were_looked_at_again_end() -> None:
    found = lifecycle.transitions(
        known(1, 2, 3), run(1, outcome=Outcome.TRUNCATED, resolutions={2: Resolution.FIXED})
    )
    assert changes(found) == {1: Change.ONGOING, 2: Change.RESOLVED}


def test_a_row_that_nothing_is_known_of_is_not_called_fixed() -> None:
    [found] = lifecycle.transitions(known(1), run())
    assert found.resolution is Resolution.NOT_RETURNED


def test_an_incident_opens_grows_and_ends() -> None:
    first = lifecycle.incident_after(None, run(1, 2), (), meaning="m")
    assert first is not None
    assert (first.open, first.violations, first.checked, first.meaning) == (True, 2, 10, "m")
    worse = lifecycle.incident_after(first, run(1, 2, 3, severity=Severity.CRITICAL), ())
    assert worse is not None
    assert (worse.id, worse.opened_at, worse.violations, worse.severity) == (
        first.id,
        AT,
        3,
        Severity.CRITICAL,
    )
    over = lifecycle.incident_after(worse, run(at=AT + DAY), ())
    assert over is not None
    assert (over.open, over.resolved_at, over.violations, over.severity) == (
        False,
        AT + DAY,
        0,
        Severity.CRITICAL,
    )


def test_an_incident_ends_below_the_first_step() -> None:
    """Rows may be left: what the rule tolerates is no incident."""
    first = lifecycle.incident_after(None, run(1, 2), ())
    tolerated = lifecycle.incident_after(first, run(1, severity=None), ())
    assert tolerated is not None
    assert (tolerated.open, tolerated.violations) == (False, 1)


def test_the_same_look_opens_the_same_incident() -> None:
    first, again = (lifecycle.incident_after(None, run(1), ()) for _ in range(2))
    other = lifecycle.incident_after(None, run(1, at=AT + DAY), ())
    assert first == again
    assert first is not None
    assert other is not None
    assert first.id != other.id


def test_an_incident_counts_what_became_of_its_rows() -> None:
    incident = lifecycle.incident_after(None, run(1, 2, 3), ())
    for look in (
        run(2, 3, resolutions={1: Resolution.FIXED}),
        run(resolutions={2: Resolution.FIXED, 3: Resolution.ROW_GONE}),
    ):
        before = known(1, 2, 3) if look.tracked else known(2, 3)
        incident = lifecycle.incident_after(incident, look, lifecycle.transitions(before, look))
    assert incident is not None
    assert incident.resolutions == {Resolution.FIXED: 2, Resolution.ROW_GONE: 1}


@pytest.mark.parametrize("fate", [Resolution.RULE_REMOVED, Resolution.RULE_CHANGED])
def test_what_ends_with_its_rule_is_never_called_fixed(fate: Resolution) -> None:
    incident = Incident("one", "r", "app", AT - DAY, Severity.ERROR, 2)
    found, closed = lifecycle.close({**known(1, 2), **known(3, resolved=AT)}, incident, AT, fate)
    assert {(transition.change, transition.resolution) for transition in found} == {
        (Change.RESOLVED, fate)
    }
    assert len(found) == 2
    assert closed == replace(incident, resolved_at=AT, resolutions={fate: 2})
    assert lifecycle.close({}, None, AT, fate) == ((), None)


LOOKS = st.lists(st.tuples(st.sampled_from(Outcome), st.frozensets(st.integers(1, 5))), max_size=20)


@given(LOOKS)
def test_no_history_of_looks_loses_a_row_or_ends_one_by_a_fault(
    looks: list[tuple[Outcome, frozenset[int]]],
) -> None:
    """After each answer what is open is what was seen; a fault leaves all as it was; one incident
    at most."""
    rows: dict[str, TrackedViolation] = {}
    incident: Incident | None = None
    for step, (outcome, seen) in enumerate(looks):
        look = run(*sorted(seen), outcome=outcome, at=AT + step * timedelta(hours=1))
        found = lifecycle.transitions(rows, look)
        was_open = {key for key, row in rows.items() if row.open}
        for transition in found:
            still = transition.change is not Change.RESOLVED
            rows[transition.fingerprint] = TrackedViolation(
                transition.fingerprint, transition.key, still, transition.since or look.at, look.at,
                resolved_at=None if still else look.at,
            )  # fmt: skip
        now_open = {key for key, row in rows.items() if row.open}
        before, incident = incident, lifecycle.incident_after(incident, look, found)
        if outcome is Outcome.COMPLETE:
            assert now_open == {mark(row) for row in seen}
            assert (incident is not None and incident.open) == bool(seen)
        elif outcome is Outcome.TRUNCATED:
            assert now_open == was_open | {mark(row) for row in seen}
        else:
            assert (now_open, incident) == (was_open, before)
        incident = incident if incident is not None and incident.open else None


def many(count: int, *, before: Incident | None = None, checked: int = 100_000) -> Incident:
    """The incident after a run that found so many."""
    found = replace(run(1), violations=count, checked=checked, severity=Severity.ERROR)
    after = lifecycle.incident_after(before, found, ())
    assert after is not None
    return after


def test_very_many_rows_at_once_are_one_fault() -> None:
    assert not many(1000).systemic
    assert many(1001).systemic
    assert not many(1400, before=many(500)).systemic
    assert many(1501, before=many(500)).systemic


def test_so_is_a_large_share_of_the_table_but_not_of_a_tiny_one() -> None:
    assert many(21, checked=100).systemic
    assert not many(20, checked=100).systemic
    assert not many(9, checked=9).systemic


def test_what_began_as_one_fault_stays_one() -> None:
    assert many(5, before=many(5000)).systemic


def test_a_rule_that_cant_be_checked_is_an_incident_of_its_own_until_it_can() -> None:
    broken = replace(run(outcome=Outcome.ERRORED), error="no such column", hint="look")
    fault = lifecycle.fault_after(None, broken, Severity.CRITICAL)
    assert fault is not None
    assert (fault.cause, fault.error, fault.severity) == (
        Cause.ERRORED,
        "no such column",
        Severity.ERROR,
    )
    skipped = run(outcome=Outcome.SKIPPED)
    assert lifecycle.fault_after(fault, skipped, Severity.CRITICAL) == fault
    assert lifecycle.fault_after(None, skipped, Severity.CRITICAL) is None
    over = lifecycle.fault_after(fault, run(1, at=AT + DAY), Severity.CRITICAL)
    assert over == replace(fault, resolved_at=AT + DAY)


def test_a_source_that_does_not_answer_is_one_incident_of_its_own() -> None:
    first = replace(run(outcome=Outcome.SKIPPED), down="mail", error="it is down")
    outage = lifecycle.outage_after(None, "mail", first, AT)
    assert outage is not None
    assert (outage.rule, outage.source, outage.cause) == ("source:mail", "mail", Cause.SOURCE_DOWN)
    assert lifecycle.outage_after(outage, "mail", replace(first, rule="other"), AT + DAY) == outage
    assert lifecycle.outage_after(outage, "mail", None, AT + DAY) == replace(
        outage, resolved_at=AT + DAY
    )
    assert lifecycle.outage_after(None, "mail", None, AT) is None
