"""Where a key of the language belongs that stands in the wrong place, and what words of other tools mean. Pure."""

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

#: Words that people bring from other tools, with ours, the likelier first.
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
class Home:
    """Where a key belongs: `what` it is, as in `is a key of a rule`, and what to do."""

    what: str
    advice: str


def meant(name: str, known: Collection[str]) -> str:
    """What a word of another tool is called here; nothing when it isn't known."""
    ours = next((word for word in _SYNONYMS.get(name.lower(), ()) if word in known), None)
    return f"did you mean `{ours}`?" if ours else ""


def home(place: KeyPath, known: Collection[str]) -> Home | None:
    """Where the key at a place belongs, if it is one of the language and stands in the wrong place.

    Parameters: `known` are the keys that may stand there.
    """
    name = str(place[-1])
    if name in known or meant(name, known):
        return None
    return next((found for keys, found in _homes(place) if name in keys), None)


def checks() -> frozenset[str]:
    """The check kinds."""
    return _names("checks", tuple(sys.path))


def rule_keys() -> frozenset[str]:
    """The keys of a rule, its checks included."""
    return checks() | RuleSpec.model_fields.keys()


@lru_cache(maxsize=8)
def _names(room: str, path: tuple[str, ...]) -> frozenset[str]:
    """Asked once: a file may have very many keys that are wrong."""
    del path
    return frozenset(plugins.names(room))


def _homes(place: KeyPath) -> Iterator[tuple[Collection[str], Home]]:
    inside = place[0] if len(place) > 1 else ""
    kinds = checks()
    if inside == "rules":
        # Inside of a check, two steps to the left is its own rule.
        if len(place) > 3:
            yield (
                RuleSpec.model_fields,
                Home("is a key of the rule", f"let it begin in the column of `{place[2]}`"),
            )
            yield kinds, Home("is a check of its own", "make it a rule of its own")
    elif not inside:
        yield (
            Defaults.model_fields,
            Home("is a key of rules", "put it into a rule, or below `defaults:` for all rules"),
        )
    yield SECTIONS, Home("is a section of the file", "let it begin in the first column")
    if inside != "rules":
        yield (
            RuleSpec.model_fields,
            Home("is a key of a rule", "put it into a rule, below `rules:`"),
        )
        yield kinds, Home("is a check of a rule", "put it into a rule, below `rules:`")
    yield SourceSpec.model_fields, Home("is a key of a source", "put it into one, below `sources:`")
    yield Settings.model_fields, Home("is a key of `alerts`", "put it below `alerts:`")
    if inside != "channels":
        yield (
            _names("channels", tuple(sys.path)),
            Home("is a kind of channel", "put it into a channel, below `channels:`"),
        )


def misindented(document: Document, name: str) -> Problem | None:
    """The problem of a rule's key that stands in the column of the rules; None for what is a rule."""
    if _is_rule(document, name):
        return None
    place = ("rules", name)
    above = _rule_above(document, name)
    kind = "a check" if name in checks() else "a key"
    message = f"`{name}` is {kind} of a rule, and stands where a rule is expected"
    advice = (
        f"indent it below `{above}:`"
        if above
        else "write the id of a rule above it, and indent it below that"
    )
    return document.problem(place, message, advice, key=True)


def loses_keys(document: Document, name: str) -> bool:
    """Whether keys that stand in the column of the rules belong to that rule."""
    return any(
        _rule_above(document, other) == name
        for other in document.data["rules"]
        if misindented(document, str(other)) is not None
    )


def _rule_above(document: Document, name: str) -> str:
    """The rule that stands before a key which is in the column of the rules."""
    above = ""
    for other in document.data["rules"]:
        if other == name:
            break
        if _is_rule(document, other):
            above = other
    return above


def _is_rule(document: Document, name: str) -> bool:
    """A key of rules that has none of them below it is no rule, in spite of its place."""
    raw = document.data["rules"][name]
    return name not in rule_keys() or (isinstance(raw, dict) and not rule_keys().isdisjoint(raw))
