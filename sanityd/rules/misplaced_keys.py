"""Keys of the language in the wrong place, and the words of other tools for keys. Pure."""

import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache

from sanityd import plugins
from sanityd.alerts.settings import Settings
from sanityd.errors import Problem
from sanityd.rules.spec import Defaults, RuleSpec, SourceSpec
from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document

SECTIONS = ("sources", "channels", "alerts", "defaults", "rules", "tests", "state", "allow", "name")

#: Words of other tools, with the keys that mean the same, the likelier first.
_SYNONYMS = {
    "table": ("in",),
    "to": ("in", "email"),
    "description": ("why",),
    "message": ("why",),
    "reason": ("why",),
    "runbook": ("fix",),
    "docs": ("fix",),
    "level": ("severity",),
    "priority": ("severity",),
    "cron": ("schedule",),
    "interval": ("schedule",),
    "every": ("schedule",),
    "filter": ("where",),
    "condition": ("where", "always"),
    "if": ("where",),
    "sql": ("query",),
    "expression": ("always", "expr"),
    "assert": ("always",),
    "primary_key": ("key",),
    "unique_key": ("key",),
    "id": ("key",),
    "relationships": ("references",),
    "foreign_key": ("references",),
    "regex": ("matches",),
    "pattern": ("matches",),
    "in_set": ("accepted_values",),
    "allowed_values": ("accepted_values",),
    "range": ("between",),
    "freshness": ("fresh",),
    "grace": ("within",),
    "alerts": ("notify",),
    "channels": ("notify",),
    "recipients": ("notify", "email"),
    "team": ("owner",),
    "disabled": ("enabled",),
    "active": ("enabled",),
    "group_by": ("by", "per"),
    "timeout": ("statement_timeout",),
    "timezone": ("zone",),
    "dsn": ("url",),
    "database": ("url",),
    "smtp": ("server",),
    "host": ("server", "url"),
    "sender": ("from",),
    "columns": ("column", "compare"),
    "column": ("columns",),
}


@dataclass(frozen=True, slots=True)
class KeyHome:
    """Where a key belongs: `what` it is, as in `is a key of a rule`, and what to do."""

    what: str
    advice: str


def synonym_advice(name: str, known_keys: Collection[str]) -> str:
    """Return the advice for a word of another tool: the key that means it here; empty for none."""
    for key in _SYNONYMS.get(name.lower(), ()):
        if key in known_keys:
            return f"did you mean `{key}`?"
    return ""


def home(key_path: KeyPath, known_keys: Collection[str]) -> KeyHome | None:
    """Return where a key belongs, if it is one of the language and stands in the wrong place.

    Parameters: `known_keys` are the keys that may stand at that place.
    """
    name = str(key_path[-1])
    if name in known_keys or synonym_advice(name, known_keys):
        return None
    for keys, key_home in _homes(key_path):
        if name in keys:
            return key_home
    return None


def checks() -> frozenset[str]:
    """Return all check kinds."""
    return _plugin_names("checks", tuple(sys.path))


def rule_keys() -> frozenset[str]:
    """Return the keys of a rule, its checks included."""
    return checks() | RuleSpec.model_fields.keys()


@lru_cache(maxsize=8)
def _plugin_names(room: str, path: tuple[str, ...]) -> frozenset[str]:
    """Return the plugins of a room. Cached, as a file may have very many keys that are wrong."""
    del path
    return frozenset(plugins.kind_names(room))


def _homes(key_path: KeyPath) -> Iterator[tuple[Collection[str], KeyHome]]:
    """Yield sets of keys, each with where these belong, for a key that stands at a path."""
    section = key_path[0] if len(key_path) > 1 else ""
    kinds = checks()
    if section == "rules" and len(key_path) > 3:
        # Inside of a check, two steps to the left is its own rule.
        advice = f"indent it like `{key_path[2]}`"
        yield RuleSpec.model_fields, KeyHome("is a key of the rule", advice)
        yield kinds, KeyHome("is a check of its own", "make it a rule of its own")
    if not section:
        advice = "put it into a rule, or below `defaults:` for all rules"
        yield Defaults.model_fields, KeyHome("is a key of rules", advice)
    yield (
        SECTIONS,
        KeyHome("is a section of the file", "write it at the start of a line, without indentation"),
    )
    if section != "rules":
        advice = "put it into a rule, below `rules:`"
        yield RuleSpec.model_fields, KeyHome("is a key of a rule", advice)
        yield kinds, KeyHome("is a check of a rule", advice)
    advice = "put it into one, below `sources:`"
    yield SourceSpec.model_fields, KeyHome("is a key of a source", advice)
    yield Settings.model_fields, KeyHome("is a key of `alerts`", "put it below `alerts:`")
    if section != "channels":
        channel_kinds = _plugin_names("channels", tuple(sys.path))
        advice = "put it into a channel, below `channels:`"
        yield channel_kinds, KeyHome("is a kind of channel", advice)


def misindented(document: Document, name: str) -> Problem | None:
    """Return the problem of a rule's key in the column of the rules; None for a rule."""
    if _is_rule(document, name):
        return None
    kind = "a check" if name in checks() else "a key"
    message = f"`{name}` is {kind} of a rule, and stands where a rule is expected"
    rule_above = _rule_above(document, name)
    advice = "write the id of a rule above it, and indent it below that"
    if rule_above:
        advice = f"indent it below `{rule_above}:`"
    return document.problem(("rules", name), message, advice, key=True)


def loses_keys(document: Document, name: str) -> bool:
    """Whether keys that stand in the column of the rules belong to that rule."""
    for other in document.data["rules"]:
        is_key = misindented(document, str(other)) is not None
        if is_key and _rule_above(document, other) == name:
            return True
    return False


def _rule_above(document: Document, name: str) -> str:
    """Return the rule that stands before a key in the column of the rules; empty for none."""
    rule_above = ""
    for other in document.data["rules"]:
        if other == name:
            break
        if _is_rule(document, other):
            rule_above = other
    return rule_above


def _is_rule(document: Document, name: str) -> bool:
    """Whether an entry of `rules` is a rule: a key of rules without such keys below it is none."""
    raw = document.data["rules"][name]
    if name not in rule_keys():
        return True
    return isinstance(raw, dict) and not rule_keys().isdisjoint(raw)
