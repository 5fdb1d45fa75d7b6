"""A RuleSet → plain data that can be stored, without URLs and passwords, and back.

For commands that need only the store: with such rules nothing can be checked or delivered.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from sqlalchemy.engine import make_url

from sanityd.alerts.base import Channel
from sanityd.errors import DeliveryError
from sanityd.model import Message
from sanityd.rules.diagnostics import without_secrets
from sanityd.rules.load import examine
from sanityd.rules.rule import RuleSet
from sanityd.rules.yaml import rules_document

#: The sections that are stored as the file says them. Tests of rules need no store.
_SECTIONS = ("defaults", "alerts", "rules", "allow")


class AdoptedChannel(Channel):
    """A channel of which only the recipients are known."""

    kind: ClassVar[str] = "adopted"

    addresses: tuple[str, ...]

    def recipients(self) -> list[str]:
        """Return the recipients that it had."""
        return list(self.addresses)

    def deliver(self, message: Message) -> NoReturn:
        """Raise DeliveryError: where to deliver to is not stored."""
        raise DeliveryError("the rules file has errors", retryable=True)


def content(rules: RuleSet) -> dict[str, Any]:
    """Return what commands that need only the store must know of the rules.

    Of a source it has the kind and the time zone, of a channel the recipients.
    """
    sources = {}
    for name, settings in rules.sources.items():
        sources[name] = {
            "url": f"{make_url(settings.url).drivername}://",
            "zone": settings.zone.key,
        }
    sections = {name: rules.data[name] for name in _SECTIONS if name in rules.data}
    if isinstance(sections.get("rules"), dict):
        sections["rules"] = _without_remedies(sections["rules"])
    return {
        "sections": _cleaned(sections),
        "sources": sources,
        "channels": {name: channel.recipients() for name, channel in rules.channels.items()},
        "locations": {rule.id: rule.location for rule in rules.rules.values()},
    }


def rule_text(rules: RuleSet, name: str) -> dict[str, Any]:
    """Return what the file says of a rule, with the defaults, as plain data without passwords."""
    text: dict[str, Any] = {}
    if rules.data.get("defaults"):
        text["defaults"] = _cleaned(rules.data["defaults"])
    written = rules.rules[name].written
    rule = _without_remedies({written: rules.data.get("rules", {}).get(written, {})})
    text["rules"] = _cleaned(rule)
    return text


def _without_remedies(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rules without `remedy`, which may have tokens; nothing is sent without it."""
    kept = {}
    for name, rule in rules.items():
        kept[name] = {key: value for key, value in rule.items() if key != "remedy"}
    return kept


def from_content(stored: Mapping[str, Any], path: Path, file: str, revision: str) -> RuleSet:
    """Return the rules of a content.

    Parameters: `file` is the name of the rules file in the store.
    """
    channels = stored["channels"]
    data = {
        **stored["sections"],
        "sources": stored["sources"],
        # A kind of channel that needs nothing, as rules must not name one that does not exist.
        "channels": {name: {"log": "info"} for name in channels},
    }
    document = rules_document.from_data(data, path, revision)
    rules = examine(document, path, need_secrets=False).rules
    by_id = {}
    for name, rule in rules.rules.items():
        by_id[name] = replace(rule, location=stored["locations"].get(name, rule.location))
    adopted_channels = {}
    for name, addresses in channels.items():
        adopted_channels[name] = AdoptedChannel(name=name, addresses=tuple(addresses))
    return replace(rules, rules=by_id, channels=adopted_channels, named=file)


def _cleaned(value: Any) -> Any:
    """Return a copy of plain data with the passwords in its texts replaced."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {key: _cleaned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    return value
