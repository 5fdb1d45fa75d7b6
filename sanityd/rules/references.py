"""Names in rules that refer to something else in the file: sources, tables, channels, other rules.

Each function returns the problem of a name that refers to nothing.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from sanityd.checks.invariant import TableName
from sanityd.errors import Problem
from sanityd.model.did_you_mean import did_you_mean
from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document, texts


def parse_table(
    document: Document,
    key_path: KeyPath,
    text: str,
    sources: Collection[str],
    default_source: str | None = None,
) -> TableName | Problem:
    """Read the name of a table; a name without a source is one of the `default_source`."""
    try:
        return TableName.parse(text, sources, default_source)
    except ValueError as error:
        first_part = text.split(".", maxsplit=1)[0]
        suggestion = did_you_mean(first_part, sources) if "." in text else ""
        if suggestion:
            message = f"there is no source `{first_part}`"
            return document.problem(key_path, message, suggestion)
        advice = f"write `source.table`; {_list_of('sources', sources)}"
        return document.problem(key_path, str(error), advice)


def unknown_source(
    document: Document, key_path: KeyPath, name: str, sources: Collection[str]
) -> Problem:
    """Return the problem of a source that the file does not have."""
    advice = did_you_mean(name, sources) or _list_of("sources", sources)
    return document.problem(key_path, f"there is no source `{name}`", advice)


def unknown_channels(
    document: Document, key_path: KeyPath, names: Iterable[str], channels: Collection[str]
) -> Iterator[Problem]:
    """Yield a problem for each of the names that is no channel of the file."""
    for name in names:
        if name in channels:
            continue
        advice = did_you_mean(name, channels) or _list_of("channels", channels)
        name_path = document.find(key_path, name) or key_path
        yield document.problem(name_path, f"there is no channel `{name}`", advice)


def unknown_dependencies(
    document: Document, rules: Mapping[str, Any], known_names: Collection[str]
) -> Iterator[Problem]:
    """Yield a problem for each `depends_on` that names neither a rule nor a source.

    Parameters: `rules` are the rules as plain data; `known_names` are those of all rules, as
    written and as expanded, and of all sources.
    """
    for name, raw in rules.items():
        if not isinstance(raw, dict):
            continue
        for path, other in texts(raw.get("depends_on"), ("rules", name, "depends_on")):
            if other == name:
                advice = "name what explains it, or take this out"
                yield document.problem(path, f"rule `{name}` depends on itself", advice)
            elif other not in known_names:
                advice = did_you_mean(other, known_names) or "name a rule or a source"
                yield document.problem(path, f"there is no rule or source `{other}`", advice)


def wrong_renames(document: Document, rules: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a problem for each `formerly` that names a rule of the file, or what another one names.

    Parameters: `rules` are the rules as plain data.
    """
    claims: dict[str, str] = {}
    for name, raw in rules.items():
        if not isinstance(raw, dict):
            continue
        for path, former in texts(raw.get("formerly"), ("rules", name, "formerly")):
            written = former.partition("[")[0]
            if written in rules:
                message = f"there still is a rule `{written}`, so that `{name}` is another one"
                advice = "name the id that the rule had before, or take this out"
                yield document.problem(path, message, advice)
            elif former in claims:
                message = f"`{former}` is claimed by rule `{claims[former]}`, too"
                advice = "leave it to the rule that goes on; the other one begins anew"
                yield document.problem(path, message, advice)
            claims.setdefault(former, name)


def _list_of(noun: str, names: Collection[str]) -> str:
    return f"the {noun} are: {', '.join(sorted(names)) or 'none yet'}"
