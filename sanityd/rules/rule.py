"""A rule and the set of rules of one file: frozen, checked, and complete."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sanityd.alerts.base import Channel
from sanityd.alerts.settings import NoiseMode, Settings
from sanityd.checks.invariant import Invariant
from sanityd.checks.table_nouns import rows_of
from sanityd.errors import Problem
from sanityd.model import RuleFacts, Run, Severity
from sanityd.model.schedule import Schedule
from sanityd.rules.cases import Case
from sanityd.rules.evidence import EvidenceQuery
from sanityd.rules.remedy_spec import Remedy
from sanityd.rules.spec import COUNT
from sanityd.sources.base import SourceSettings


@dataclass(frozen=True, slots=True)
class Rule:
    """One invariant of the data, with when it is checked and who is notified."""

    id: str
    invariant: Invariant
    schedule: Schedule
    notify: tuple[str, ...] = ()
    owner: str = ""
    tags: tuple[str, ...] = ()
    #: What is wrong in the user's words, in which `{count}` stands for the number of violations.
    summary: str = ""
    why: str = ""
    fix: str = ""
    enabled: bool = True
    #: Channels that are notified when it can't be evaluated: its owner's, if the owner has any.
    on_error: tuple[str, ...] = ()
    #: Rules and sources whose incident explains this one.
    depends_on: tuple[str, ...] = ()
    #: The ids that it had before.
    formerly: tuple[str, ...] = ()
    #: Its own setting of the noise policy: `on`, `suggest` or `off`.
    noise: NoiseMode | None = None
    #: How long it must hold again before its incident is over.
    keep_open: timedelta = timedelta(0)
    #: What is read about each new violation.
    evidence: tuple[EvidenceQuery, ...] = ()
    #: What may repair its rows; None without one, or while its variables are not set.
    remedy: Remedy | None = None
    #: Its place in the file: `rules.yaml:21`.
    location: str = ""
    #: A hash of what it asks for; `why`, `fix`, times and recipients are not in it.
    meaning: str = ""

    @property
    def source(self) -> str:
        """The name of its source."""
        return self.invariant.subject.source

    @property
    def severity(self) -> Severity:
        """The severity as declared: the lowest step of its ladder."""
        return self.invariant.ladder.declared

    @property
    def shows_measured_value(self) -> bool:
        """Whether the number measured of each row or group may leave the database."""
        subject = self.invariant.subject
        return self.invariant.check.value_column in (*subject.show, *subject.key)

    @property
    def learns(self) -> bool:
        """Whether it compares with what it measured before."""
        return self.invariant.check.learns

    @property
    def written(self) -> str:
        """The key in the file, of which `for_each` may make several rules: `no-orphans[orders]`."""
        return self.id.partition("[")[0]

    @property
    def title(self) -> str:
        """The id as a sentence: `every-person-has-a-mail` → `Every person has a mail`."""
        words = self.id.replace("-", " ").replace("_", " ")
        return words[:1].upper() + words[1:]

    def is_of(self, tags: Collection[str], sources: Collection[str]) -> bool:
        """Return whether it has one of the tags, and one of the sources; empty ones mean all."""
        if tags and set(tags).isdisjoint(self.tags):
            return False
        return not sources or self.source in sources

    @property
    def _about(self) -> str:
        table = self.invariant.subject.table
        return table.name if table else self.source

    def sentence(self, run: Run) -> str:
        """Return the result of a run in words: `3 of 1,000 people have no row in app.mails`."""
        if self.summary:
            return self.summary.replace(COUNT, f"{run.violations:,}")
        sentence = self.invariant.check.sentence(self._about, run.violations, run.rows, run.checked)
        return f"{sentence}; {run.detail}" if run.detail else sentence

    def fact(self, run: Run) -> str:
        """Return the same in fewer words: `3 people have no row in app.mails`."""
        if self.summary:
            return self.sentence(run)
        return self.invariant.check.fact(self._about, run.violations, run.rows, run.checked)

    def amount(self, run: Run) -> str:
        """Return how much is wrong, in few words: `3 of 1,000 people`."""
        return self.invariant.check.amount(self._about, run.violations, run.rows, run.checked)

    def facts(self, revision: str, key: tuple[str, ...] = ()) -> RuleFacts:
        """Return what a message may say about it."""
        table = self.invariant.subject.table
        return RuleFacts(
            id=self.id,
            kind=self.invariant.kind,
            source=self.source,
            table=str(table or ""),
            title=self.title,
            why=self.why,
            fix=self.fix,
            owner=self.owner,
            tags=self.tags,
            notify=self.notify,
            location=self.location,
            revision=revision,
            key=key,
            population=rows_of(table.name) if table else "rows",
        )


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The content of one rules file."""

    path: Path
    revision: str
    sources: Mapping[str, SourceSettings]
    channels: Mapping[str, Channel]
    rules: Mapping[str, Rule]
    #: URL of the store, None for the default beside the rules file.
    state: str | None = None
    #: The `name` in the file, for files that are moved from folder to folder.
    named: str | None = None
    alerts: Settings = field(default_factory=Settings)
    #: The tests of each rule, by its id.
    cases: Mapping[str, tuple[Case, ...]] = field(default_factory=dict)
    #: Problems that are no errors.
    warnings: tuple[Problem, ...] = ()
    files: tuple[Path, ...] = field(default=())
    #: The sections of the file as plain data; variables are not filled in.
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The identity of the file in the store: its `name`, else its absolute path."""
        return self.named or str(self.path.resolve())

    @property
    def folder(self) -> Path:
        """The folder that relative paths are relative to."""
        return self.path if self.path.is_dir() else self.path.parent

    @property
    def tags(self) -> set[str]:
        """The tags that any rule has."""
        return {tag for rule in self.rules.values() for tag in rule.tags}

    def enabled(self) -> tuple[Rule, ...]:
        """Return the enabled rules, in the order of the file."""
        return tuple(rule for rule in self.rules.values() if rule.enabled)

    def recipients(self, channels: Iterable[str]) -> list[tuple[str, str]]:
        """Return every (channel, recipient) of these channels, each once."""
        pairs = []
        for name in dict.fromkeys(channels):
            if name in self.channels:
                pairs += [(name, recipient) for recipient in self.channels[name].recipients()]
        return pairs

    def counted(self, rule: str, violations: int) -> str:
        """Return a number of violations with their noun; also for a removed rule."""
        if rule in self.rules:
            return self.rules[rule].invariant.check.counted(violations)
        noun = "violation" if violations == 1 else "violations"
        return f"{violations:,} {noun}"

    def by_source(self, rules: Iterable[Rule]) -> dict[str, list[Rule]]:
        """Return the rules of each source, in the order of the file."""
        groups: dict[str, list[Rule]] = {}
        for rule in rules:
            groups.setdefault(rule.source, []).append(rule)
        return groups
