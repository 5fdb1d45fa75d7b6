"""What a rule says, and what `defaults` and `alerts` say for it: when it is due, and who hears of it. Pure."""

from sanityd.alerts.settings import Settings
from sanityd.checks.invariant import Invariant
from sanityd.model.schedule import parse_schedule
from sanityd.rules.rule import Rule
from sanityd.rules.spec import Defaults, RuleSpec


def build_rule(
    invariant: Invariant, spec: RuleSpec, defaults: Defaults, alerts: Settings, location: str
) -> Rule:
    """The rule of an invariant.

    Parameters: `location` is where it is written, as people open it.
    """
    notify = spec.notify if spec.notify is not None else defaults.notify
    owner = spec.owner if spec.owner is not None else defaults.owner or ""
    tags = spec.tags if spec.tags is not None else defaults.tags or []
    own = alerts.owners.get(owner, [])
    hear = [
        *(own if notify is None else notify),
        *(name for tag in tags for name in alerts.tags.get(tag, [])),
    ]
    return Rule(
        id=invariant.id,
        invariant=invariant,
        schedule=spec.schedule or defaults.schedule or parse_schedule("every 5m"),
        notify=tuple(dict.fromkeys(hear)),
        on_error=tuple(own or dict.fromkeys(hear)),
        owner=owner,
        tags=tuple(tags),
        depends_on=tuple(spec.depends_on or ()),
        noise=spec.noise,
        why=spec.why,
        fix=spec.fix,
        enabled=spec.enabled,
        location=location,
        meaning=invariant.meaning,
    )
