"""Assert rules against a test database: the value of pytest's `sanityd` fixture.

Knows nothing of pytest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanityd import clock
from sanityd.alerts.compose.sanitize import display_value
from sanityd.authoring.ruletests.matching import Expectation, match
from sanityd.authoring.trial import run_trial
from sanityd.errors import RuleError, SourceError
from sanityd.model import Key, Run
from sanityd.model.did_you_mean import did_you_mean
from sanityd.rules import load
from sanityd.rules.case_reader import zones
from sanityd.rules.diagnostics import format_problems
from sanityd.rules.rule import Rule, RuleSet
from sanityd.rules.yaml import rules_document
from sanityd.sources.base import SourceSettings

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: Number of keys that a message shows.
_MAX_KEYS = 10


@dataclass(frozen=True, slots=True)
class Sanityd:
    """Asserts rules against test databases.

    Parameters: relative paths of rules files are relative to `folder`.
    """

    folder: Path

    def check(
        self,
        rules: str | Path = "rules.yaml",
        sources: "Mapping[str, str | Engine] | None" = None,
        *,
        now: datetime | None = None,
        **more: "str | Engine",
    ) -> "Checked":
        """Return the rules of a file, to be checked against other databases than the file names.

        Parameters: `sources` (or further arguments, by name) are URLs, or SQLAlchemy engines whose
        URLs are used; sources that are not replaced stay as in the file. `now` is the time at which
        all clocks stand. Changes that a test has not committed are not visible. Raises RuleError
        when the file is wrong, SourceError when it has no such source.
        """
        path = self.folder / rules
        try:
            document = rules_document.parse(path)
            read = load.read(document, path, need_secrets=False)
        except RuleError as error:
            error.add_note(format_problems(error.problems))
            raise
        if now is not None and now.tzinfo is None:
            now = now.replace(tzinfo=UTC)
        source_zones = zones(document.data.get("sources"))
        settings = dict(read.sources)
        for name, source in {**(sources or {}), **more}.items():
            if name not in source_zones:
                advice = did_you_mean(name, source_zones)
                advice = advice or f"The sources are: {', '.join(source_zones)}."
                raise SourceError(f"`{path.name}` has no source `{name}`", advice, source=name)
            original = settings.get(name) or SourceSettings(name, "", zone=source_zones[name])
            settings[name] = replace(original, url=_url(source), files=())
        for name, source_settings in settings.items():
            settings[name] = replace(source_settings, frozen_at=now)
        return Checked(replace(read, sources=settings), now)


@dataclass(frozen=True, slots=True)
class Checked:
    """Rules on test databases. Each assertion evaluates its rules again."""

    rules: RuleSet
    now: datetime | None = None

    def run(self, rule: str) -> Run:
        """Evaluate one rule and return the run, which is not stored.

        Raises SourceError when there is no such rule or source.
        """
        original = self._rule(rule)
        for source in (original.source, original.invariant.elsewhere):
            if source is None or source in self.rules.sources:
                continue
            advice = f"Give its URL: `check(…, {source}=URL)`."
            raise SourceError(
                f"rule `{rule}` needs the source `{source}`, whose URL is not known here", advice
            )
        # A test needs all keys of its rows, without redaction.
        unredacted = replace(original, invariant=replace(original.invariant, redaction=None))
        return run_trial(self.rules, unredacted, self.now or clock.now()).run

    def assert_holds(self, *rules: str) -> None:
        """Assert that these rules hold, or (without any) all enabled rules."""
        __tracebackhide__ = True
        rule_ids = rules or tuple(rule.id for rule in self.rules.enabled())
        failures = []
        for rule_id in rule_ids:
            failure = self._failure(rule_id)
            if failure:
                failures.append(failure)
        if not failures:
            return
        count = f"{len(failures)} of {len(rule_ids)} rules do"
        if len(rule_ids) == 1:
            count = "the rule does"
        raise AssertionError(f"{count} not hold:\n" + "\n".join(failures))

    def assert_violates(self, rule: str, keys: Sequence[Any] | bool = True) -> None:
        """Assert that a rule finds exactly these keys, or by default any violation.

        Parameters: `keys` are `[2]`, of several columns `[(1, "a")]` or `[{"id": 1}]`.
        """
        __tracebackhide__ = True
        run = self.run(rule)
        expected: Sequence[Any] | bool = keys
        if not isinstance(keys, bool):
            expected = [list(key) if isinstance(key, tuple) else key for key in keys]
        difference = match(run, Expectation(expected, None, self.now or clock.now()))
        if difference.fits:
            return
        lines = [f"rule `{rule}` does not find what it should:"]
        if difference.missing:
            lines.append(f"  missing: {_keys(difference.missing)}")
        if difference.unexpected:
            lines.append(f"  unexpected: {_keys(difference.unexpected)}")
        lines += [f"  {display_value(fault, 1000)}" for fault in difference.faults]
        raise AssertionError("\n".join(lines))

    def _rule(self, name: str) -> Rule:
        if name not in self.rules.rules:
            advice = did_you_mean(name, self.rules.rules) or "Name a rule of the file."
            raise SourceError(f"there is no rule `{name}`", advice)
        return self.rules.rules[name]

    def _failure(self, rule_id: str) -> str:
        """Return why a rule does not hold; nothing when it holds."""
        run = self.run(rule_id)
        if not run.answered:
            error = display_value(run.error or "", 1000)
            return f"  {rule_id}: not checked: {error}\n    {run.hint or ''}"
        if run.severity is None:
            return ""
        sentence = display_value(self._rule(rule_id).sentence(run), 1000)
        keys = _keys([violation.key for violation in run.tracked])
        return f"  {rule_id}: {sentence}\n    {keys}"


def _url(source: "str | Engine") -> str:
    return source if isinstance(source, str) else source.url.render_as_string(hide_password=False)


def _keys(keys: Sequence[Key]) -> str:
    texts = []
    for key in keys[:_MAX_KEYS]:
        parts = [f"{display_value(name)} {display_value(value)}" for name, value in key.items()]
        texts.append(", ".join(parts))
    text = " · ".join(texts)
    if len(keys) > _MAX_KEYS:
        text += f" and {len(keys) - _MAX_KEYS:,} more"
    return text
