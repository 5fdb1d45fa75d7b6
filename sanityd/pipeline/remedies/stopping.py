"""When a remedy stops by itself: it makes things worse, or it does not help."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from sanityd.model import Incident, Outcome, Reason
from sanityd.model.remedies import RemedyState, RemedyStatus
from sanityd.pipeline.remedies.telling import notify_recipients, record
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import remedies, runs


def stop_if_harmful(
    connection: Connection, rules: RuleSet, rule: Rule, incident: Incident | None, at: datetime
) -> RemedyStatus:
    """Stop the remedy of a rule where its last runs say so; notify of it once.

    Returns what is known of the remedy, with whether it is stopped. Parameters: `incident` is the
    open one of the rule, without accepted rows (`open_incident`).
    """
    status = remedies.status_of(connection, rule.id)
    if status.stopped_at is not None or incident is None:
        return status
    why = _count_rose(status, incident) or _did_not_help(connection, rule, status, at)
    if not why:
        return status
    stopped = replace(status, stopped_at=at, stopped=why)
    remedies.save_status(connection, stopped)
    record(connection, rule, at, "remedy stopped", why, incident=incident)
    words = f"its remedy stopped: {why}"
    notify_recipients(
        connection, rules, rule, Reason.REMEDY_STOPPED, words, at, occasion=at.isoformat()
    )
    return stopped


def resume(connection: Connection, rule: Rule, author: str, reason: str, at: datetime) -> bool:
    """Let a remedy go on that stopped; False when it did not stop. Sends nothing."""
    status = remedies.status_of(connection, rule.id)
    if status.stopped_at is None:
        return False
    resumed = replace(
        status, stopped_at=None, stopped="", resumed_at=at, incident="", baseline=0, notified=""
    )
    remedies.save_status(connection, resumed)
    record(connection, rule, at, "remedy resumed", reason, author=author)
    return True


def _count_rose(status: RemedyStatus, incident: Incident) -> str:
    if status.incident != incident.id or incident.violations <= status.baseline:
        return ""
    return (
        f"there are {incident.violations:,} violations now, "
        f"and were {status.baseline:,} at the first request"
    )


def _did_not_help(connection: Connection, rule: Rule, status: RemedyStatus, at: datetime) -> str:
    """Return that a row is violated again though a complete run began after its repair."""
    last_run = runs.last(connection, rule.id, at)
    if last_run is None or last_run.outcome is not Outcome.COMPLETE:
        return ""
    repaired = _repaired_rows(connection, status, last_run.at)
    if not repaired:
        return ""
    violated = len(remedies.eligible_rows(connection, rule.id, at, repaired))
    if violated == 0:
        return ""
    rows = f"{violated:,} rows that were repaired are"
    if violated == 1:
        rows = "1 row that was repaired is"
    return f"{rows} violated again after a complete run"


def _repaired_rows(connection: Connection, status: RemedyStatus, until: datetime) -> set[str]:
    """Return the rows whose request was accepted before then, and after the remedy went on."""
    repaired = set()
    for remedy in remedies.of_rule(connection, status.rule, [RemedyState.DONE]):
        ended_at = remedy.ended_at
        if ended_at is None or ended_at >= until:
            continue
        if status.resumed_at is None or ended_at > status.resumed_at:
            repaired |= {row.fingerprint for row in remedy.rows}
    return repaired
