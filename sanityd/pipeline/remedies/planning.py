"""Which rows are repaired: as a person asks for it, or by itself. Sends nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from sanityd.alerts.compose.sanitize import display_value
from sanityd.errors import SanitydError
from sanityd.model import Incident, Reason, Value
from sanityd.model.identical_rows import has_number
from sanityd.model.remedies import (
    RemedyRow,
    RemedyState,
    RemedyStatus,
    StoredRemedy,
    batch_id,
)
from sanityd.notifications import announcements, policy
from sanityd.pipeline.remedies.requests import to_be_stored
from sanityd.pipeline.remedies.stopping import stop_if_harmful
from sanityd.pipeline.remedies.telling import notify_recipients, open_incident, record
from sanityd.rules.remedy_spec import Remedy
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import announced_changes, remedies, runs

#: The author of requests that no person asked for.
AUTOMATIC = "sanityd"


class RemedyError(SanitydError):
    """Error of a repair that can't be asked for; nothing was sent."""

    hint = "`sanityd status` shows what is open, and what became of repairs."


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """What a repair of a rule comes to: new requests, and what became of earlier ones."""

    new: tuple[StoredRemedy, ...] = ()
    #: Failed and refused requests, which are sent again under their ids.
    again: tuple[StoredRemedy, ...] = ()
    #: Requests that wait, and those that were accepted in this episode.
    waiting: tuple[StoredRemedy, ...] = ()
    done: tuple[StoredRemedy, ...] = ()

    @property
    def to_send(self) -> tuple[StoredRemedy, ...]:
        """The requests that are sent, or may be."""
        return (*self.new, *self.again, *self.waiting)


@dataclass(frozen=True, slots=True)
class Approval:
    """Who asks for a repair, why, and when. Without `keys`, for all rows."""

    author: str
    reason: str
    at: datetime
    keys: Sequence[Mapping[str, str]] = ()


def remedy_of(rule: Rule) -> Remedy:
    """Return the remedy of a rule. Raises RemedyError when it has none."""
    if rule.remedy is None:
        raise RemedyError(
            f"rule `{rule.id}` has no remedy", "Add `remedy:` to it; see docs/howto/repair.md."
        )
    return rule.remedy


def prepare(connection: Connection, rule: Rule, approval: Approval) -> RepairPlan:
    """Return what the repair of a rule comes to. Records nothing.

    Raises RemedyError when the rule has no remedy, or a row is not open, or is accepted or snoozed.
    """
    remedy = remedy_of(rule)
    rows = _without_repeated(remedies.eligible_rows(connection, rule.id, approval.at))
    if approval.keys:
        named = [row_with_key(rows, key, rule) for key in approval.keys]
        rows = list({row.request_id: row for row in named}.values())
    return _plan(connection, rule, remedy, rows, approval)


def approve(connection: Connection, rules: RuleSet, rule: Rule, approval: Approval) -> RepairPlan:
    """Record the requests that a person asks for, inside a write transaction.

    Raises RemedyError as `prepare` does, and when the remedy is stopped.
    """
    remedy_of(rule)
    incident = open_incident(connection, rules, rule, approval.at)
    status = stop_if_harmful(connection, rules, rule, incident, approval.at)
    if status.stopped_at is not None:
        raise RemedyError(
            f"the remedy of `{rule.id}` is stopped: {status.stopped}",
            f"Find out why, then let it go on: `sanityd remedy {rule.id} --resume --reason …`.",
        )
    plan = prepare(connection, rule, approval)
    _record_plan(connection, rule, incident, plan, approval)
    return plan


def plan_automatically(connection: Connection, rules: RuleSet, rule: Rule, at: datetime) -> None:
    """Record the requests of a rule with `auto: yes`, inside a write transaction.

    None are recorded while it is stopped, in quiet hours, in an announced change, for a run without
    an answer, and with more violations than `max_rows`, of which the recipients are notified once.
    """
    incident = open_incident(connection, rules, rule, at)
    if incident is None or _is_announced(connection, rule, incident, at):
        return
    status = stop_if_harmful(connection, rules, rule, incident, at)
    remedy = rule.remedy
    if remedy is None or remedy.filled.auto == "no" or status.stopped_at is not None:
        return
    if not _may_send_now(connection, rules, rule, at):
        return
    if _too_many_words(remedy, incident):
        _tell_too_many(connection, rules, rule, status, incident, at)
        return
    approval = Approval(AUTOMATIC, "auto: yes", at)
    plan = prepare(connection, rule, approval)
    # What failed or was refused is for a person to decide.
    _record_plan(connection, rule, incident, replace(plan, again=()), approval)


def _is_announced(connection: Connection, rule: Rule, incident: Incident, at: datetime) -> bool:
    """Return whether a mass change that was announced goes on, after which all may be well."""
    if not incident.ticket:
        return False
    announced = announced_changes.list_active(connection, at)
    return announcements.goes_on(announced, incident, at, rule.formerly)


def _too_many_words(remedy: Remedy, incident: Incident) -> str:
    """Return why an incident is too large to be repaired by itself; empty when it is not."""
    if incident.violations > remedy.filled.max_rows:
        return (
            f"there are {incident.violations:,} violations at once, "
            "so none of them is repaired by itself"
        )
    # All that opens in an announced change is one problem, however small.
    if incident.systemic and not incident.ticket:
        return "so many rows broke at once that they are one problem, which a person has to repair"
    return ""


def _may_send_now(connection: Connection, rules: RuleSet, rule: Rule, at: datetime) -> bool:
    """Return whether it is outside of quiet hours, and the last run had an answer."""
    if is_quiet(rules, rule, at):
        return False
    last_run = runs.last(connection, rule.id, at)
    return last_run is not None and last_run.answered


def is_quiet(rules: RuleSet, rule: Rule, at: datetime) -> bool:
    """Return whether nothing is sent by itself now, as it is the quiet hours of the alerts."""
    if rule.remedy is None or rule.remedy.filled.quiet_hours == "none":
        return False
    return policy.in_quiet_hours(rules.alerts.quiet_hours, rules.alerts, at)


def requests_of(
    rule: str, remedy: Remedy, rows: Sequence[RemedyRow], approval: Approval
) -> list[StoredRemedy]:
    """Return a request for each row, or for each batch of rows."""
    spec = remedy.filled
    size = spec.batch_size if spec.per == "batch" else 1
    ordered = sorted(rows, key=lambda row: row.request_id) if size > 1 else list(rows)
    requests = []
    for begin in range(0, len(ordered), size):
        part = tuple(ordered[begin : begin + size])
        request_id = batch_id(part) if spec.per == "batch" else part[0].request_id
        requests.append(_request(request_id, rule, part, approval))
    return requests


def _request(
    request_id: str, rule: str, rows: tuple[RemedyRow, ...], approval: Approval
) -> StoredRemedy:
    return StoredRemedy(
        id=request_id,
        rule=rule,
        rows=rows,
        state=RemedyState.PLANNED,
        attempts=0,
        next_at=approval.at,
        fence=0,
        author=approval.author,
        reason=approval.reason,
        at=approval.at,
    )


def _plan(
    connection: Connection,
    rule: Rule,
    remedy: Remedy,
    rows: Sequence[RemedyRow],
    approval: Approval,
) -> RepairPlan:
    """Divide the rows by the requests that were recorded for them in the same episode."""
    by_state: dict[RemedyState, dict[str, StoredRemedy]] = {state: {} for state in RemedyState}
    by_row = {}
    for stored in remedies.of_rule(connection, rule.id):
        if stored.state is not RemedyState.CANCELLED:
            by_row.update({row.request_id: stored for row in stored.rows})
    uncovered = []
    for row in rows:
        earlier = by_row.get(row.request_id)
        if earlier is None:
            uncovered.append(row)
        else:
            by_state[earlier.state][earlier.id] = earlier
    return RepairPlan(
        new=tuple(requests_of(rule.id, remedy, uncovered, approval)),
        again=_all(by_state, RemedyState.FAILED, RemedyState.REFUSED),
        waiting=_all(by_state, RemedyState.PLANNED, RemedyState.SENT),
        done=_all(by_state, RemedyState.DONE),
    )


def _all(
    by_state: Mapping[RemedyState, Mapping[str, StoredRemedy]], *states: RemedyState
) -> tuple[StoredRemedy, ...]:
    requests: list[StoredRemedy] = []
    for state in states:
        requests += by_state[state].values()
    return tuple(requests)


def _record_plan(
    connection: Connection,
    rule: Rule,
    incident: Incident | None,
    plan: RepairPlan,
    approval: Approval,
) -> None:
    requests = len(plan.new) + len(plan.again)
    if not requests:
        return
    spec = remedy_of(rule).filled
    for request in plan.new:
        remedies.plan(connection, to_be_stored(spec, request))
    ids = [request.id for request in plan.again]
    remedies.plan_again(connection, ids, approval.author, approval.reason, approval.at)
    _save_baseline(connection, rule, incident, is_decided=approval.author != AUTOMATIC)
    action = "remedy planned" if approval.author == AUTOMATIC else "remedy approved"
    record(
        connection,
        rule,
        approval.at,
        action,
        approval.reason,
        author=approval.author,
        incident=incident,
        detail={"requests": requests},
    )


def _save_baseline(
    connection: Connection, rule: Rule, incident: Incident | None, *, is_decided: bool
) -> None:
    """Store the violations at the first request of an incident, or when a person decided anew."""
    status = remedies.status_of(connection, rule.id)
    if incident is None or (status.incident == incident.id and not is_decided):
        return
    baseline = incident.violations
    remedies.save_status(connection, replace(status, incident=incident.id, baseline=baseline))


def _tell_too_many(
    connection: Connection,
    rules: RuleSet,
    rule: Rule,
    status: RemedyStatus,
    incident: Incident,
    at: datetime,
) -> None:
    """Notify, once in an incident, that nothing is sent by itself."""
    if status.notified == incident.id:
        return
    remedies.save_status(connection, replace(status, notified=incident.id))
    words = _too_many_words(remedy_of(rule), incident)
    record(connection, rule, at, "remedy not sent", words, incident=incident)
    notify_recipients(
        connection, rules, rule, Reason.REMEDY_STOPPED, words, at, occasion=incident.id
    )


def _without_repeated(rows: Sequence[RemedyRow]) -> list[RemedyRow]:
    """Return the rows without those that repeat another one: its request is about them, too."""
    return [row for row in rows if not has_number(row.key)]


def _has_key(row: RemedyRow, key: Mapping[str, str]) -> bool:
    """Return whether a row has this key, in full or as it is shown."""
    if row.key.keys() != key.keys():
        return False
    return all(key[name] in (str(value), _shown(value)) for name, value in row.key.items())


def _shown(value: Value) -> str:
    """Return a value as it is shown, but not cut."""
    return display_value(value, limit=len(str(value)) * 8)


def row_with_key(rows: Sequence[RemedyRow], key: Mapping[str, str], rule: Rule) -> RemedyRow:
    """Return the row that a person names. Raises RemedyError when it is none, or several."""
    matching = [row for row in rows if _has_key(row, key)]
    if len(matching) == 1:
        return matching[0]
    names = ", ".join(f"{name} {text}" for name, text in key.items())
    if matching:
        raise RemedyError(
            f"{len(matching)} rows of `{rule.id}` have {display_value(names)}",
            "Their keys differ by type or by hidden characters; repair all rows of the rule.",
        )
    raise RemedyError(
        f"no row of `{rule.id}` with {display_value(names)} is to be repaired",
        "It is not open, or accepted, or its incident is snoozed; "
        f"`sanityd show {rule.id} --all` lists the rows.",
    )
