"""A rule and the set of rules of one file: frozen, checked, and complete."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from sanityd.alerts.base import Channel
from sanityd.alerts.settings import NoiseMode, Settings
from sanityd.checks.invariant import Invariant
from sanityd.errors import Problem
from sanityd.model import RuleFacts, Run, Severity
from sanityd.model.schedule import Schedule
from sanityd.rules.cases import Case
from sanityd.sources.base import SourceSettings


@dataclass(frozen=True, slots=True)
class Rule:
    """One promise about the data, with when it is checked and who hears of it."""

    id: str
    invariant: Invariant
    schedule: Schedule
    notify: tuple[str, ...] = ()
    owner: str = ""
    tags: tuple[str, ...] = ()
    why: str = ""
    fix: str = ""
    enabled: bool = True
    #: Channels that hear when it can't be evaluated: its owner's, if the owner has any.
    on_error: tuple[str, ...] = ()
    #: Rules and sources whose incident explains this one.
    depends_on: tuple[str, ...] = ()
    #: Its own word on the policy of noise: `on`, `suggest` or `off`.
    noise: NoiseMode | None = None
    #: Where it stands, as `rules.yaml:21`.
    location: str = ""
    #: Hash of what it means: it changes when the rule asks for something else, not when a word of `why` does.
    meaning: str = ""

    @property
    def source(self) -> str:
        """The name of the source it looks at."""
        return self.invariant.subject.source

    @property
    def severity(self) -> Severity:
        """The severity as declared: the lowest step of its ladder."""
        return self.invariant.ladder.declared

    @property
    def learns(self) -> bool:
        """Whether it compares with what it measured before."""
        return self.invariant.check.learns

    @property
    def written(self) -> str:
        """The id as it stands in the file, where `for_each` makes several rules of one: `no-orphans[orders]`."""
        return self.id.partition("[")[0]

    @property
    def title(self) -> str:
        """The id as a sentence: `every-person-has-a-mail` → `Every person has a mail`."""
        words = self.id.replace("-", " ").replace("_", " ")
        return words[:1].upper() + words[1:]

    @property
    def _about(self) -> str:
        table = self.invariant.subject.table
        return table.name if table else self.source

    def sentence(self, run: Run) -> str:
        """What the run saw, in words: `3 of 1,000 people have no row in app.mails`."""
        return self.invariant.check.sentence(self._about, run.violations, run.rows, run.checked)

    def amount(self, run: Run) -> str:
        """How much is wrong, as short as it can be told: `3 of 1,000 people`."""
        return self.invariant.check.amount(self._about, run.violations, run.rows, run.checked)

    def facts(self, revision: str, key: tuple[str, ...] = ()) -> RuleFacts:
        """What a mail may say about it."""
        return RuleFacts(
            id=self.id,
            kind=self.invariant.kind,
            source=self.source,
            table=str(self.invariant.subject.table or ""),
            title=self.title,
            why=self.why,
            fix=self.fix,
            owner=self.owner,
            tags=self.tags,
            notify=self.notify,
            location=self.location,
            revision=revision,
            key=key,
        )


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All that one rules file says."""

    path: Path
    revision: str
    sources: Mapping[str, SourceSettings]
    channels: Mapping[str, Channel]
    rules: Mapping[str, Rule]
    #: URL of the store, None for the default beside the rules file.
    state: str | None = None
    #: What the file calls itself, for those that move from folder to folder.
    named: str | None = None
    alerts: Settings = field(default_factory=Settings)
    #: The examples of each rule, by its id.
    cases: Mapping[str, tuple[Case, ...]] = field(default_factory=dict)
    #: Not wrong, but worth a look.
    warnings: tuple[Problem, ...] = ()
    files: tuple[Path, ...] = field(default=())

    @property
    def name(self) -> str:
        """Which file this is, for the store: as it says itself, else its path, wherever a command is run from."""
        return self.named or str(self.path.resolve())

    @property
    def folder(self) -> Path:
        """The folder that relative paths are relative to."""
        return self.path if self.path.is_dir() else self.path.parent

    def enabled(self) -> tuple[Rule, ...]:
        """The rules that are switched on, in the order of the file."""
        return tuple(rule for rule in self.rules.values() if rule.enabled)

    def recipients(self, channels: Iterable[str]) -> list[tuple[str, str]]:
        """Every (channel, recipient) of these channels, each once."""
        known = (name for name in dict.fromkeys(channels) if name in self.channels)
        return [
            (name, recipient) for name in known for recipient in self.channels[name].recipients()
        ]

    def counted(self, rule: str, violations: int) -> str:
        """So many violations of a rule, in the word of its kind; of one that has left the file as well."""
        if rule in self.rules:
            return self.rules[rule].invariant.check.counted(violations)
        return f"{violations:,} violation{'s' * (violations != 1)}"

    def by_source(self, rules: Iterable[Rule]) -> dict[str, list[Rule]]:
        """The rules of each source, in the order of the file."""
        groups: dict[str, list[Rule]] = {}
        for rule in rules:
            groups.setdefault(rule.source, []).append(rule)
        return groups


#: How a source is reached when the file doesn't say.
DEFAULT_TIMEOUT = timedelta(seconds=60)
