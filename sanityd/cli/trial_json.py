"""Formats `try --format json`: the object of `check --format json` for one rule, and more."""

from typing import Any

from sanityd.authoring.explain import step_as_json
from sanityd.authoring.trial import Trial
from sanityd.cli.evidence import as_json as evidence_json
from sanityd.cli.reports import json_key
from sanityd.model.identical_rows import count_repeated
from sanityd.pipeline.simulation import Forecast
from sanityd.rules.rule import Rule


def as_json(rule: Rule, trial: Trial, rows: int) -> dict[str, Any]:
    """Return the object, with at most so many rows in `sample`."""
    run, forecast = trial.run, trial.foresight
    return {
        "version": 1,
        "id": rule.id,
        "kind": rule.invariant.kind,
        "outcome": run.verdict,
        "sentence": rule.sentence(run) if run.violations else None,
        "violations": run.violations,
        "rows": run.rows,
        "checked": run.checked,
        "measured": run.measured,
        "severity": rule.severity.label,
        "effective_severity": run.severity.label if run.severity else None,
        "key": list(run.key),
        "sample": [
            {
                "key": json_key(violation.key),
                "shown": json_key(violation.shown),
                "what": violation.detail,
                "rows": violation.rows,
            }
            for violation in run.tracked[:rows]
        ],
        "evidence": [
            {"key": json_key(violation.key), "found": [evidence_json(item) for item in items]}
            for violation, items in zip(run.tracked, trial.evidence, strict=False)
        ],
        "repeated_rows": count_repeated(run.tracked),
        "error": run.error,
        "hint": run.hint,
        "seconds": round(run.seconds, 4),
        "proved_by": trial.proof,
        "warnings": [
            {"message": finding.message, "advice": finding.advice} for finding in trial.unmatched
        ],
        "to_be_confirmed": trial.to_be_confirmed,
        "plan": _plan(trial),
        "statements": [
            {"source": statement.source, "sql": statement.sql} for statement in trial.statements
        ],
        "remembered": {
            "exists": trial.memory.exists,
            "runs": trial.memory.runs,
            "error": trial.memory.trouble.message if trial.memory.trouble else None,
        },
        "consequences": None if forecast is None else _consequences(forecast),
    }


def _plan(trial: Trial) -> list[dict[str, Any]]:
    """Return the steps without their SQL, which is in `statements`."""
    steps = []
    for step in trial.steps:
        document = dict(step_as_json(step))
        document.pop("sql", None)
        steps.append(document)
    return steps


def _consequences(forecast: Forecast) -> dict[str, Any]:
    incident = forecast.incident
    triage = forecast.triage
    decision = None
    if triage:
        decision = {
            "stance": triage.action.value,
            "author": triage.author,
            "reason": triage.reason,
        }
    return {
        "outcome": forecast.result.run.verdict,
        "severity": incident.severity.label if incident else None,
        "since": incident.opened_at.isoformat() if incident else None,
        "changes": {change.value: count for change, count in forecast.result.changes.items()},
        "suspects": forecast.result.run.suspects,
        "accepted": forecast.accepted,
        "noise": forecast.noise_state.sentence or None,
        "decided": decision,
        "told": [
            {
                "channel": notification.recipient[0],
                "recipient": notification.recipient[1],
                "reason": notification.reason.value,
                "mails": notification.reason.mails,
            }
            for notification in forecast.decisions
        ],
        "messages": [
            {
                "channel": message.channel,
                "recipient": message.recipient,
                "subject": message.subject,
                "text": message.text,
            }
            for message in forecast.messages
        ],
    }
