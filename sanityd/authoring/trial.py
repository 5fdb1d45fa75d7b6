"""One rule looked at for its author: the run, the SQL it took, and the mail that would be sent. Records nothing."""

from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from sanityd import __version__, lifecycle
from sanityd.alerts import policy
from sanityd.alerts.render import render
from sanityd.checks import executor, planner
from sanityd.checks.invariant import Invariant
from sanityd.errors import SourceError
from sanityd.model import Alert, Message, Outcome, PastRun, Run, Tracked, fingerprint
from sanityd.pipeline import count_changes
from sanityd.rules.rule import Rule, RuleSet
from sanityd.sources.views import Views


@dataclass(frozen=True, slots=True)
class Trial:
    """What one look saw, and how it looked."""

    run: Run
    form: str
    statements: tuple[str, ...]


def attempt(rules: RuleSet, rule: Rule, at: datetime) -> Trial:
    """Look at one rule. A source that doesn't answer gives a skipped run."""
    invariant: Invariant = rule.invariant
    try:
        with Views(rules.sources) as views:
            snapshot = views.snapshot(rule.source)
            plan = planner.plan([invariant], snapshot, elsewhere=views.snapshot)
            [run] = executor.evaluate(plan, snapshot, {}, at)
            form = plan.looks[0].form if plan.looks else "nothing"
            looked = [one.sql(statement) for one in views.all() for statement in one.looked]
            return Trial(run, form, tuple(looked))
    except SourceError as error:
        return Trial(executor.skipped(invariant, at, error), "nothing", ())


def mails(rules: RuleSet, rule: Rule, run: Run) -> list[Message]:
    """The messages that this run would cause if nothing were known before."""
    transitions = lifecycle.transitions({}, run)
    incident = lifecycle.incident_after(None, run, transitions, meaning=rule.meaning)
    if incident is None:
        return []
    reason = policy.decide(incident, None, run)
    alert = Alert(
        reason=reason,
        at=run.at,
        rule=rule.facts(rules.revision, run.key),
        incident=incident,
        sentence=rule.sentence(run),
        complete=run.outcome is Outcome.COMPLETE,
        rows=tuple(
            Tracked(
                fingerprint(rule.id, rule.source, found.key),
                found.key,
                True,
                run.at,
                run.at,
                None,
                found.shown,
                found.detail,
            )
            for found in run.tracked
        ),
        changes=count_changes(transitions),
        history=(PastRun(run.at, run.outcome, run.violations),),
    )
    if not reason.mails:
        return []
    return [
        render(
            replace(alert, channel=name),
            recipient=recipient,
            zone=ZoneInfo(rules.zone),
            version=__version__,
            rows=rules.rows_in_mail,
        )
        for name in rule.notify
        for recipient in rules.channels[name].recipients()
    ]
