"""One rule looked at for its author: the run, the SQL it took, and the mail that would be sent. Records nothing."""

from dataclasses import dataclass
from datetime import datetime

from sanityd.checks import executor, planner
from sanityd.checks.invariant import Invariant
from sanityd.checks.planner import Known
from sanityd.errors import SourceError
from sanityd.model import Message, Run
from sanityd.rehearsal import Rehearsal
from sanityd.rules.rule import Rule, RuleSet
from sanityd.sources.views import Views


@dataclass(frozen=True, slots=True)
class Trial:
    """What one look saw, and how it looked."""

    run: Run
    form: str
    statements: tuple[str, ...]
    #: The constraint that would make looking needless.
    proof: str | None = None


def attempt(rules: RuleSet, rule: Rule, at: datetime) -> Trial:
    """Look at one rule. A source that doesn't answer gives a skipped run."""
    invariant: Invariant = rule.invariant
    try:
        with Views(rules.sources) as views:
            snapshot = views.snapshot(rule.source)
            plan = planner.plan([invariant], snapshot, elsewhere=views.snapshot, known=Known(audited=[rule.id]))
            [run] = executor.evaluate(plan, snapshot, {}, at)
            form, proof = (plan.looks[0].form, plan.looks[0].proof) if plan.looks else ("nothing", None)
            plain = invariant.redaction is None
            looked = [one.sql(statement, values=plain) for one in views.all() for statement in one.looked]
            return Trial(run, form, tuple(looked), proof)
    except SourceError as error:
        return Trial(executor.skipped(invariant, at, error), "nothing", ())


def mails(rules: RuleSet, run: Run) -> list[Message]:
    """The messages that this run would cause if nothing were known before."""
    with Rehearsal.of(rules) as rehearsal:
        return [one.message for one in rehearsal.see([run], run.at)]
