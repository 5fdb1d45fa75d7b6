"""Rules asserted against a test database: what pytest's `sanityd` fixture gives. Knows nothing of
pytest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanityd import clock
from sanityd.alerts.compose.sanitize import visible
from sanityd.authoring.ruletests.matching import Expectation, match
from sanityd.authoring.trial import attempt
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

#: How many keys a message shows.
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Sanityd:
    """Asserts rules against test databases.

    Parameters: `folder` is what relative paths of rules files are relative to.
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
        """The rules of a file, about other databases than the file says.

        Parameters: `sources` (or further arguments, by name) are URLs, or SQLAlchemy engines whose
        URLs count; what isn't replaced stays as the file says. `now` is the time at which all
        clocks stand. What a test has not committed isn't seen. Raises RuleError when the file is
        wrong, SourceError when it has no such source.
        """
        path = self.folder / rules
        try:
            document = rules_document.parse(path)
            read = load.read(document, path, need_secrets=False)
        except RuleError as error:
            error.add_note(format_problems(error.problems))
            raise
        named = zones(document.data.get("sources"))
        replaced = dict(read.sources)
        for name, source in {**(sources or {}), **more}.items():
            if name not in named:
                advice = did_you_mean(name, named) or f"The sources are: {', '.join(named)}."
                raise SourceError(f"`{path.name}` has no source `{name}`", advice, source=name)
            known = replaced.get(name) or SourceSettings(name, "", zone=named[name])
            replaced[name] = replace(known, url=_url(source), files=())
        at = now if now is None or now.tzinfo else now.replace(tzinfo=UTC)
        replaced = {name: replace(settings, stands_at=at) for name, settings in replaced.items()}
        return Checked(replace(read, sources=replaced), at)


@dataclass(frozen=True, slots=True)
class Checked:
    """Rules about test databases. Each assertion looks anew."""

    rules: RuleSet
    now: datetime | None = None

    def run(self, rule: str) -> Run:
        """What a look at one rule finds. Records nothing. Raises SourceError when there is no such
        rule or source."""
        found = self._rule(rule)
        for source in {found.source, found.invariant.elsewhere} - {None, *self.rules.sources}:
            advice = f"Give its URL: `check(…, {source}=URL)`."
            raise SourceError(
                f"rule `{rule}` needs the source `{source}`, whose URL is not known here", advice
            )
        # A test is about its rows, which are all to be told, in clear.
        plain = replace(found, invariant=replace(found.invariant, redaction=None))
        return attempt(self.rules, plain, self.now or clock.now()).run

    def assert_holds(self, *rules: str) -> None:
        """Assert that these rules hold, or (without any) all that are switched on."""
        __tracebackhide__ = True
        names = rules or tuple(rule.id for rule in self.rules.enabled())
        wrong = [told for name in names if (told := self._complaint(name))]
        if wrong:
            count = "the rule does" if len(names) == 1 else f"{len(wrong)} of {len(names)} rules do"
            raise AssertionError(f"{count} not hold:\n" + "\n".join(wrong))

    def assert_violates(self, rule: str, keys: Sequence[Any] | bool = True) -> None:
        """Assert that a rule finds just these keys: `[2]`, of several columns `[(1, "a")]` or
        `[{"id": 1}]`.

        By default, that it finds anything at all."""
        __tracebackhide__ = True
        run = self.run(rule)
        plain = (
            keys
            if isinstance(keys, bool)
            else [list(key) if isinstance(key, tuple) else key for key in keys]
        )
        found = match(run, Expectation(plain, None, self.now or clock.now()))
        if found.fits:
            return
        lines = [f"rule `{rule}` does not find what it should:"]
        lines += [f"  missing: {_keys(found.missing)}"] if found.missing else []
        lines += [f"  unexpected: {_keys(found.unexpected)}"] if found.unexpected else []
        raise AssertionError(
            "\n".join([*lines, *(f"  {visible(fault, 1000)}" for fault in found.faults)])
        )

    def _rule(self, name: str) -> Rule:
        if name not in self.rules.rules:
            advice = did_you_mean(name, self.rules.rules) or "Name a rule of the file."
            raise SourceError(f"there is no rule `{name}`", advice)
        return self.rules.rules[name]

    def _complaint(self, name: str) -> str:
        run = self.run(name)
        if not run.answered:
            return f"  {name}: not checked: {visible(run.error or '', 1000)}\n    {run.hint or ''}"
        if run.severity is None:
            return ""
        return f"  {name}: {visible(self._rule(name).sentence(run), 1000)}\n    {_keys([one.key for one in run.tracked])}"


def _url(source: "str | Engine") -> str:
    return source if isinstance(source, str) else source.url.render_as_string(hide_password=False)


def _keys(keys: Sequence[Key]) -> str:
    shown = [
        ", ".join(f"{visible(name)} {visible(value)}" for name, value in key.items())
        for key in keys[:SHOWN]
    ]
    return " · ".join(shown) + (f" and {len(keys) - SHOWN:,} more" if len(keys) > SHOWN else "")
