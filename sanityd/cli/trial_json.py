"""What `try --format json` prints: one object, with what `check --format json` says of a rule and
more."""

from typing import Any

from sanityd.authoring.explain import step_as_json
from sanityd.authoring.trial import Trial
from sanityd.cli.reports import plain
from sanityd.rules.rule import Rule


def as_json(rule: Rule, trial: Trial, rows: int) -> dict[str, Any]:
    """The object; at most so many rows are in it."""
    run, ahead = trial.run, trial.foresight
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
            {"key": plain(one.key), "shown": plain(one.shown), "what": one.detail, "rows": one.rows}
            for one in run.tracked[:rows]
        ],
        "error": run.error,
        "hint": run.hint,
        "seconds": round(run.seconds, 4),
        "proved_by": trial.proof,
        "to_be_confirmed": trial.to_be_confirmed,
        # What was asked is in the statements.
        "plan": [
            {word: said for word, said in step_as_json(step).items() if word != "sql"}
            for step in trial.steps
        ],
        "statements": [{"source": one.source, "sql": one.sql} for one in trial.statements],
        "remembered": {
            "exists": trial.memory.exists,
            "runs": trial.memory.runs,
            "error": trial.memory.trouble.message if trial.memory.trouble else None,
        },
        "consequences": None if ahead is None else _consequences(trial),
    }


def _consequences(trial: Trial) -> dict[str, Any]:
    ahead = trial.foresight
    assert ahead is not None
    decided = ahead.triage
    return {
        "outcome": ahead.result.run.verdict,
        "severity": ahead.incident.severity.label if ahead.incident else None,
        "since": ahead.incident.opened_at.isoformat() if ahead.incident else None,
        "changes": {change.value: count for change, count in ahead.result.changes.items()},
        "suspects": ahead.result.run.suspects,
        "accepted": ahead.accepted,
        "noise": ahead.noise_state.sentence or None,
        "decided": decided
        and {"stance": decided.action.value, "author": decided.author, "reason": decided.reason},
        "told": [
            {
                "channel": one.recipient[0],
                "recipient": one.recipient[1],
                "reason": one.reason.value,
                "mails": one.reason.mails,
            }
            for one in ahead.decisions
        ],
        "messages": [
            {
                "channel": one.channel,
                "recipient": one.recipient,
                "subject": one.subject,
                "text": one.text,
            }
            for one in ahead.messages
        ],
    }
