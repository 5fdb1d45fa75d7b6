"""A valid spec and its draft → a Rule, with what `defaults` and `alerts` say. Pure."""

from collections.abc import Iterable

from sanityd.alerts.settings import Settings
from sanityd.checks.base import Check
from sanityd.checks.invariant import Confirm, Invariant, Ladder
from sanityd.checks.redaction import Redaction
from sanityd.model.schedule import parse_schedule
from sanityd.rules.draft import RuleDraft
from sanityd.rules.rule import Rule
from sanityd.rules.spec import Defaults, RuleSpec


def former_ids(names: Iterable[str], draft: RuleDraft) -> tuple[str, ...]:
    """Return the earlier ids of a rule: `for_each` made one rule for each value before, too."""
    suffix = draft.id.removeprefix(draft.name)
    return tuple(name if "[" in name else name + suffix for name in names)


class RuleBuilder:
    """Builds the rules of one file, which share the sections `defaults` and `alerts`."""

    def __init__(self, defaults: Defaults, alerts: Settings) -> None:
        self._defaults = defaults
        self._alerts = alerts

    def build(
        self,
        draft: RuleDraft,
        check: Check,
        spec: RuleSpec,
        redaction: Redaction | None,
        location: str,
    ) -> Rule:
        """Return the rule.

        Parameters: `check` is the draft's; `location` is where the rule stands, as people open it.
        """
        invariant = Invariant(
            id=draft.id,
            kind=draft.kind,
            check=check,
            subject=draft.subject,
            ladder=spec.severity or self._defaults.severity or Ladder(),
            cap=self._alerts.limits.tracked_rows,
            confirm=spec.confirm or Confirm(),
            scan=draft.scan,
            redaction=redaction,
        )
        owner = self._owner(spec)
        tags = self._tags(spec)
        channels = self._channels(spec, owner, tags)
        owner_channels = self._alerts.owners.get(owner, [])
        return Rule(
            id=draft.id,
            invariant=invariant,
            schedule=spec.schedule or self._defaults.schedule or parse_schedule("every 5m"),
            notify=channels,
            on_error=tuple(owner_channels) or channels,
            owner=owner,
            tags=tuple(tags),
            depends_on=tuple(spec.depends_on or ()),
            formerly=former_ids(spec.formerly or (), draft),
            noise=spec.noise,
            summary=spec.summary,
            keep_open=spec.keep_open,
            why=spec.why,
            fix=spec.fix,
            enabled=spec.enabled,
            evidence=draft.evidence,
            location=location,
            meaning=invariant.meaning,
        )

    def _owner(self, spec: RuleSpec) -> str:
        if spec.owner is not None:
            return spec.owner
        return self._defaults.owner or ""

    def _tags(self, spec: RuleSpec) -> list[str]:
        if spec.tags is not None:
            return spec.tags
        return self._defaults.tags or []

    def _channels(self, spec: RuleSpec, owner: str, tags: list[str]) -> tuple[str, ...]:
        """Return the channels that are notified: the rule's, else its owner's; and its tags'."""
        channels = spec.notify
        if channels is None:
            channels = self._defaults.notify
        if channels is None:
            channels = self._alerts.owners.get(owner, [])
        channels = list(channels)
        for tag in tags:
            channels += self._alerts.tags.get(tag, [])
        return tuple(dict.fromkeys(channels))
