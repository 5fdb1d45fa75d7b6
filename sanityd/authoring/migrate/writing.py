"""A migration as a rules file: the rules with their origin, and what can't be imported, with line and reason.

The file passes `lint`: a rule that doesn't is left out, and told like everything else that has no counterpart.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from sanityd.alerts.compose.sanitize import visible
from sanityd.authoring.migrate.draft import Draft, Migration, Translation
from sanityd.errors import RuleError
from sanityd.model.option_types import listed
from sanityd.rules.connections import NAME
from sanityd.rules.load import load_text
from sanityd.rules.yaml.reader import scalar

#: More rules than any file of checks holds; aliases can multiply a short file beyond all bounds.
MOST_RULES = 20_000
#: Longer values of a rule stand on several lines.
_WIDTH = 100
_ORDER = ("table", "source")
#: What YAML takes for the end of a line, too.
_LINE_ENDS = re.compile("[\r\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """The text of the rules file, and how the import went."""

    text: str
    translations: tuple[Translation, ...]

    @property
    def imported(self) -> int:
        """How many of the other tool's checks became rules."""
        return sum(bool(one.drafts) for one in self.translations)

    @property
    def left(self) -> list[Translation]:
        """Those that did not."""
        return [one for one in self.translations if not one.drafts]

    @property
    def unheard(self) -> int:
        """How many rules notify nobody."""
        return sum(
            not draft.keys.get("notify") for one in self.translations for draft in one.drafts
        )


def write(migration: Migration, done: Callable[[int], None] = lambda _: None) -> WrittenFile:
    """The rules file of a migration, and what is left out of it. Raises RuleError when it stands for too many rules.

    Parameters: `done` is told how many more checks of the other tool were written down.
    """
    _bound(migration)
    translations = list(migration.translations)
    text, lines = _file(migration, translations, done)
    if not lines:
        return WrittenFile(text, tuple(translations))
    try:
        load_text(text, Path("rules.yaml"))
    except RuleError as error:
        begins = list(lines)
        for problem in error.problems:
            place = bisect_right(begins, problem.line)
            if not place:
                raise
            at = lines[begins[place - 1]]
            reason = f"{problem.message}; {problem.advice}" if problem.advice else problem.message
            translations[at] = replace(
                translations[at], drafts=(), reason=translations[at].reason or reason
            )
        text, left = _file(migration, translations)
        if left:
            # It stands for itself; a mistake now would be one of this file.
            load_text(text, Path("rules.yaml"))
    return WrittenFile(text, tuple(translations))


def summary(written: WrittenFile) -> Iterator[str]:
    """What was imported and what wasn't, line by line, for the person who migrates."""
    total, left = len(written.translations), written.left
    if not total:
        yield "no checks were found"
        return
    yield f"{written.imported} of {total} checks imported" + (
        f"; {len(left)} can't be:" if left else ""
    )
    for one in left:
        yield f"  {visible(str(one.place))}  {visible(one.what)}: {visible(one.reason, limit=400)}"


def todo(written: WrittenFile) -> Iterator[str]:
    """What is left to the person who migrates: whom the rules tell is not in other tools' files."""
    if channels := _channels(written.translations):
        named = ", ".join(f"`{name}`" for name in channels)
        yield f"the kind and address of {named} are not in these files: write them below `channels:`"
    if count := written.unheard:
        rules = "1 rule notifies" if count == 1 else f"{count:,} rules notify"
        yield f"{rules} nobody: write `channels:`, and whom of them to tell, as in `defaults: {{notify: [team]}}`"


def _bound(migration: Migration) -> None:
    if sum(len(one.drafts) or 1 for one in migration.translations) > MOST_RULES:
        raise RuleError(
            f"these files stand for more than {MOST_RULES:,} rules", "Import them in parts."
        )


def _file(
    migration: Migration,
    translations: list[Translation],
    done: Callable[[int], None] = lambda _: None,
) -> tuple[str, dict[int, int]]:
    """The text, and which translation begins at which line."""
    lines: list[str] = [f"# Imported by `sanityd import {migration.tool}`."]
    lines += [f"# {line}".rstrip() for line in summary(WrittenFile("", tuple(translations)))]
    lines += [*(f"# {note}" for note in migration.notes), "sources:"]
    for source in migration.sources:
        lines.append(f"  {source}: ${{{re.sub('[^A-Z0-9]', '_', source.upper())}_DATABASE_URL}}")
    if channels := _channels(translations):
        lines += [
            "",
            "channels:",
            "  # Write the kind and address of each: until then, what they are told goes into sanityd's own log.",
        ]
        lines += [f"  {name}: {{log: info}}" for name in channels]
    lines += ["", "rules:"]
    starts: dict[int, int] = {}
    taken: dict[str, int] = {}
    for number, translation in enumerate(translations):
        done(1)
        if translation.drafts:
            lines.append("") if starts else None
            starts[len(lines) + 1] = number
            lines.append(f"  # {visible(str(translation.place))}  {visible(translation.what)}")
        for draft in translation.drafts:
            lines += _rule(draft, _free(draft.says, taken))
    if not starts:
        lines[-1] = "rules: {}"
    return "\n".join(lines) + "\n", starts


def _channels(translations: Iterable[Translation]) -> list[str]:
    """Whom rules notify, as far as these can be names of channels."""
    named = (draft.keys.get("notify") for one in translations for draft in one.drafts)
    names = (name for value in named if isinstance(value, str | list) for name in listed(value))
    return list(
        dict.fromkeys(name for name in names if isinstance(name, str) and NAME.fullmatch(name))
    )


def _free(says: str, taken: dict[str, int]) -> str:
    """The promise as an id that no other rule has; `taken` are those that are, and the last number behind each."""
    name = re.sub(r"[^a-z0-9]+", "-", says.lower()).strip("-")[:120].strip("-") or "rule"
    number = taken.get(name, 0) + 1
    while (chosen := name if number == 1 else f"{name}-{number}") in taken:
        number += 1
    taken[name] = number
    taken.setdefault(chosen, 1)
    return chosen


def _rule(draft: Draft, name: str) -> Iterator[str]:
    yield from (f"  # {visible(note, limit=400)}" for note in draft.notes)
    yield f"  {dumped(name)}:"
    first = {key: draft.keys[key] for key in _ORDER if key in draft.keys}
    rest = {key: value for key, value in draft.keys.items() if key not in first}
    yield from pairs({**first, draft.kind: draft.options, **rest}, "    ")


def pairs(data: dict[str, Any], indent: str) -> Iterator[str]:
    """A mapping, one key on a line; what is long or has several lines of text stands below its key."""
    for key, value in data.items():
        flow = dumped(value)
        if (
            "\n" not in flow
            and (len(flow) <= _WIDTH or not isinstance(value, dict | list))
            and not _has_lines(value)
        ):
            yield f"{indent}{dumped(key)}: {flow}"
        else:
            below = yaml.dump({key: value}, **BLOCK)
            yield from _indented(below.splitlines(), indent)


def dumped(value: Any) -> str:
    """A value on one line, quoted wherever our own reader or another would take it for something else."""
    return _word(value) if isinstance(value, str) else _flow(value)


@lru_cache(maxsize=10_000)
def _word(text: str) -> str:
    """The words of rules are often the same ones."""
    return _flow(text)


def _flow(value: Any) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, **_STYLE)
    return text.removesuffix("\n").removesuffix("\n...")


def _has_lines(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(_has_lines, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and "\n" in value


def _indented(lines: Iterable[str], indent: str) -> Iterator[str]:
    return (f"{indent}{line}" if line else "" for line in lines)


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.1 or 1.2 would take for a number or a word of its own; SQL of several lines stays so."""

    def ignore_aliases(self, data: Any) -> bool:
        """Our files have none."""
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    if _LINE_ENDS.search(value):
        style: str | None = '"'
    else:
        style = "|" if "\n" in value else None if scalar(value) == value else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
_STYLE: dict[str, Any] = {"sort_keys": False, "allow_unicode": True, "width": 10**9}
#: How to dump a whole document.
BLOCK: dict[str, Any] = {"Dumper": _Dumper, "default_flow_style": False, **_STYLE}
