"""Formats what `status` shows as one JSON object. Its keys are documented and stable."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from sanityd.cli import remedy_status
from sanityd.daemon import health
from sanityd.model import Cause, Severity, Triage
from sanityd.notifications import open_incidents
from sanityd.notifications.open_incidents import OpenIncident
from sanityd.rules.rule import RuleSet
from sanityd.store import announced_changes, outbox_summary, rechecks, runs, silences


def text(
    connection: Connection,
    rules: RuleSet,
    selected: RuleSet,
    least: Severity,
    at: datetime,
) -> str:
    """Return the object.

    Parameters: `rules` are all rules, `selected` those to show; of these, the open incidents with
    the severity `least` or a higher one.
    """
    signs = health.health_signs(connection, rules, at)
    summary = outbox_summary.summary(connection)
    opened = open_incidents.list_open_incidents(connection, rules, at)
    document = {
        "version": 1,
        "at": at.isoformat(),
        "serve": health.serve_state(signs.daemon, at),
        "complaints": list(signs.complaints(at)),
        "rules_file_error": signs.wrong_file,
        "outbox": {
            "waiting": summary.waiting,
            "given_up": summary.dead,
            "oldest": _time(summary.oldest),
        },
        "sources_down": [
            {
                "source": entry.incident.source,
                "incident": entry.incident.id,
                "since": _time(entry.incident.opened_at),
                "error": entry.incident.error,
            }
            for entry in opened
            if entry.incident.cause is Cause.SOURCE_DOWN
        ],
        "open": [
            _open_object(rules, entry)
            for entry in opened
            if entry.incident.cause is Cause.VIOLATED
            and (selected is rules or entry.incident.rule in selected.rules)
            and entry.incident.severity >= least
        ],
        "remedies": remedy_status.as_json(connection, selected),
        "silences": [
            {
                "number": silence.id,
                "rule": silence.rule,
                "tag": silence.tag,
                "source": silence.source,
                "until": _time(silence.until),
                "by": silence.author,
                "reason": silence.reason,
            }
            for silence in silences.list_active(connection, at)
        ],
        "announced": _announced(connection, at),
        **_rule_lists(connection, selected, at),
    }
    return json.dumps(document, ensure_ascii=True, indent=2)


def _announced(connection: Connection, at: datetime) -> list[dict[str, Any]]:
    """Return the mass changes that are announced and not over."""
    return [
        {
            "number": change.id,
            "ticket": change.ticket,
            "rules": list(change.rules),
            "until": _time(change.until),
            "by": change.author,
            "reason": change.reason,
        }
        for change in announced_changes.list_active(connection, at)
    ]


def _rule_lists(connection: Connection, rules: RuleSet, at: datetime) -> dict[str, Any]:
    """Return the rules whose last run has no answer, those that hold, and those that found
    something that must be confirmed: it is not known whether these hold."""
    unverified, holding = [], []
    meanings = {rule.id: rule.meaning for rule in rules.enabled()}
    waiting = rechecks.of_rules(connection, meanings, at)
    for rule in rules.enabled():
        last_run = runs.last(connection, rule.id, at)
        if last_run is not None and last_run.verdict == "passed":
            if rule.id not in waiting:
                holding.append(rule.id)
        elif last_run is None or last_run.error is not None:
            entry = {
                "rule": rule.id,
                "source": rule.source,
                "since": _time(runs.last_verified(connection, rule.id)),
                "error": last_run.error if last_run is not None else None,
            }
            unverified.append(entry)
    pending = [
        {"rule": rule, "violations": recheck.violations, "due_at": _time(recheck.due_at)}
        for rule, recheck in waiting.items()
    ]
    return {"unverified": unverified, "holding": holding, "pending": pending}


def _open_object(rules: RuleSet, entry: OpenIncident) -> dict[str, Any]:
    incident = entry.incident
    rule = rules.rules.get(incident.rule)
    return {
        "rule": incident.rule,
        "incident": incident.id,
        "severity": incident.severity.label,
        "violations": incident.violations,
        "since": _time(incident.opened_at),
        "source": incident.source,
        "owner": rule.owner if rule is not None else "",
        "tags": list(rule.tags) if rule is not None else [],
        "decision": _decision_object(entry.triage),
        "notes": list(entry.notes),
    }


def _decision_object(triage: Triage | None) -> dict[str, Any] | None:
    if triage is None:
        return None
    return {
        "action": triage.action.value,
        "by": triage.author,
        "until": _time(triage.until),
        "reason": triage.reason,
    }


def _time(time: datetime | None) -> str | None:
    return time.isoformat() if time is not None else None
