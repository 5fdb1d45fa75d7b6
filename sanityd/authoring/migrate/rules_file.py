"""Writing imported rules as a rules file.

Each rule has a comment with its origin; checks that could not be imported are listed at the top,
with line and reason. The file passes `lint`: a rule that `lint` refuses is left out and listed.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sanityd.alerts.compose.sanitize import display_value
from sanityd.authoring.migrate.import_result import ImportedCheck, ImportedRule, ImportResult
from sanityd.authoring.migrate.yaml_dump import dump_flow, dump_pairs
from sanityd.errors import Problem, RuleError
from sanityd.model.option_types import as_list
from sanityd.rules.connections import NAME
from sanityd.rules.load import load_text

#: More rules than any real rules file has. Aliases in a short file can stand for many more.
MAX_RULES = 20_000
#: The keys that are written above a rule's check.
_FIRST_KEYS = ("table", "source")
_PATH = Path("rules.yaml")
_CHANNELS_COMMENT = (
    "  # Write the kind and address of each: until then, their messages go into sanityd's own log."
)


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """The text of a rules file, and the checks that it was made from."""

    text: str
    checks: tuple[ImportedCheck, ...]

    @property
    def imported(self) -> int:
        """The number of checks that became rules."""
        return len(self.checks) - len(self.not_imported)

    @property
    def not_imported(self) -> list[ImportedCheck]:
        """The checks that did not become rules."""
        return [check for check in self.checks if not check.rules]

    @property
    def rules_without_recipients(self) -> int:
        """The number of rules that notify nobody."""
        return sum(not rule.keys.get("notify") for rule in _rules_of(self.checks))


@dataclass(frozen=True, slots=True)
class _Draft:
    """The text of a rules file, and the index of the check that begins at a line (1-based)."""

    text: str
    check_at_line: dict[int, int]


def write(result: ImportResult, on_progress: Callable[[int], None] = lambda _: None) -> WrittenFile:
    """Return the rules file of an import.

    Parameters: `on_progress` is called with the number of further checks that were written.
    Raises RuleError when there are too many rules, or for an error that is not one of a rule.
    """
    _refuse_too_many_rules(result.translations)
    checks = list(result.translations)
    draft = _write_draft(result, checks, on_progress)
    if not draft.check_at_line:
        return WrittenFile(draft.text, tuple(checks))
    try:
        load_text(draft.text, _PATH)
    except RuleError as error:
        if not _drop_refused_rules(checks, draft, error.problems):
            raise
        draft = _write_draft(result, checks)
        if draft.check_at_line:
            # The rules that remain must be correct: an error now is one of this module.
            load_text(draft.text, _PATH)
    return WrittenFile(draft.text, tuple(checks))


def _drop_refused_rules(
    checks: list[ImportedCheck], draft: _Draft, problems: Iterable[Problem]
) -> bool:
    """Remove the rules of each check that `lint` refuses, and note the first reason.

    Returns False when a problem is not about a rule.
    """
    starts = list(draft.check_at_line)
    for problem in problems:
        position = bisect_right(starts, problem.line)
        if position == 0:
            return False
        index = draft.check_at_line[starts[position - 1]]
        reason = problem.message
        if problem.advice:
            reason = f"{problem.message}; {problem.advice}"
        check = checks[index]
        checks[index] = replace(check, rules=(), reason=check.reason or reason)
    return True


def summary(written: WrittenFile) -> Iterator[str]:
    """Return lines that tell the user what was imported, and what was not, with the reason."""
    total = len(written.checks)
    if total == 0:
        yield "no checks were found"
        return
    headline = f"{written.imported} of {total} checks imported"
    if written.not_imported:
        headline += f"; {len(written.not_imported)} can't be:"
    yield headline
    for check in written.not_imported:
        location, name = display_value(str(check.location)), display_value(check.name)
        yield f"  {location}  {name}: {display_value(check.reason, limit=400)}"


def remaining_steps(written: WrittenFile) -> Iterator[str]:
    """Return lines that tell the user what to add: other tools' files name no recipients."""
    channels = _channel_names(written.checks)
    if channels:
        names = ", ".join(f"`{name}`" for name in channels)
        yield (
            f"the kind and address of {names} are not in these files: write them below `channels:`"
        )
    count = written.rules_without_recipients
    if count:
        rules = "1 rule notifies" if count == 1 else f"{count:,} rules notify"
        yield (
            f"{rules} nobody: add `channels:`, and set who is notified, "
            "as in `defaults: {notify: [team]}`"
        )


def _refuse_too_many_rules(checks: Iterable[ImportedCheck]) -> None:
    count = sum(max(len(check.rules), 1) for check in checks)
    if count > MAX_RULES:
        raise RuleError(
            f"these files stand for more than {MAX_RULES:,} rules", "Import them in parts."
        )


def _write_draft(
    result: ImportResult,
    checks: Sequence[ImportedCheck],
    on_progress: Callable[[int], None] = lambda _: None,
) -> _Draft:
    lines = [*_header(result, checks), "rules:"]
    check_at_line: dict[int, int] = {}
    ids = _RuleIds()
    for index, check in enumerate(checks):
        on_progress(1)
        if not check.rules:
            continue
        if check_at_line:
            lines.append("")
        check_at_line[len(lines) + 1] = index
        lines.append(f"  # {display_value(str(check.location))}  {display_value(check.name)}")
        for rule in check.rules:
            lines.extend(_rule_lines(rule, ids.new_id(rule.title)))
    if not check_at_line:
        lines[-1] = "rules: {}"
    return _Draft("\n".join(lines) + "\n", check_at_line)


def _header(result: ImportResult, checks: Sequence[ImportedCheck]) -> Iterator[str]:
    """Return the lines above `rules:`."""
    yield f"# Imported by `sanityd import {result.tool}`."
    for line in summary(WrittenFile("", tuple(checks))):
        yield f"# {line}".rstrip()
    for note in result.notes:
        yield f"# {note}"
    yield "sources:"
    for source in result.sources:
        variable = re.sub("[^A-Z0-9]", "_", source.upper())
        yield f"  {source}: ${{{variable}_DATABASE_URL}}"
    channels = _channel_names(checks)
    if channels:
        yield from ("", "channels:", _CHANNELS_COMMENT)
        for channel in channels:
            yield f"  {channel}: {{log: info}}"
    yield ""


def _rules_of(checks: Iterable[ImportedCheck]) -> Iterator[ImportedRule]:
    for check in checks:
        yield from check.rules


def _channel_names(checks: Iterable[ImportedCheck]) -> list[str]:
    """Return the channels that rules notify, without texts that are no names of channels."""
    channels: dict[str, None] = {}
    for rule in _rules_of(checks):
        notify = rule.keys.get("notify")
        if not isinstance(notify, str | list):
            continue
        for name in as_list(notify):
            if isinstance(name, str) and NAME.fullmatch(name):
                channels[name] = None
    return list(channels)


class _RuleIds:
    """Makes ids of titles, each of them unique."""

    def __init__(self) -> None:
        #: The last number that was appended to each id.
        self._last_numbers: dict[str, int] = {}

    def new_id(self, title: str) -> str:
        """Return the title as an id that no other rule has."""
        name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
        name = name[:120].strip("-") or "rule"
        number = self._last_numbers.get(name, 0) + 1
        rule_id = _numbered(name, number)
        while rule_id in self._last_numbers:
            number += 1
            rule_id = _numbered(name, number)
        self._last_numbers[name] = number
        self._last_numbers.setdefault(rule_id, 1)
        return rule_id


def _numbered(name: str, number: int) -> str:
    if number == 1:
        return name
    return f"{name}-{number}"


def _rule_lines(rule: ImportedRule, rule_id: str) -> Iterator[str]:
    for note in rule.notes:
        yield f"  # {display_value(note, limit=400)}"
    yield f"  {dump_flow(rule_id)}:"
    first = {key: rule.keys[key] for key in _FIRST_KEYS if key in rule.keys}
    others = {key: value for key, value in rule.keys.items() if key not in first}
    yield from dump_pairs({**first, rule.kind: rule.options, **others}, "    ")
