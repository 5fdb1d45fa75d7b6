"""A parsed rules file → a RuleSet. Every section is read on its own, so that one mistake hides no other."""

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from sanityd import plugins
from sanityd.alerts.settings import Settings
from sanityd.checks.base import Check
from sanityd.checks.invariant import Confirm, Invariant, Ladder, Scan, Subject, TableName
from sanityd.errors import Problem, RuleError
from sanityd.model.did_you_mean import did_you_mean
from sanityd.rules import foreach, misplaced_keys, recovery, select_check, validation_errors
from sanityd.rules.build import build_rule
from sanityd.rules.case_reader import CaseReader, zones
from sanityd.rules.compatibility import Fitting
from sanityd.rules.connections import Connections
from sanityd.rules.diagnostics import in_order
from sanityd.rules.redaction import RedactionKeys
from sanityd.rules.rule import Rule, RuleSet
from sanityd.rules.spec import AllowSpec, Defaults, RuleSpec
from sanityd.rules.user_sql import gate_problems
from sanityd.rules.yaml import rules_document
from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document, texts

ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
SpecT = TypeVar("SpecT", bound=BaseModel)


def load(
    path: Path,
    environment: Mapping[str, str] | None = None,
    *,
    need_secrets: bool = True,
    need_rules: bool = True,
) -> RuleSet:
    """Read a rules file or a folder of them.

    Parameters: `environment` is where `${NAME}` is looked up (os.environ); with `need_secrets=False` a variable that is
    not set is only a warning, for editors and CI that have no secrets; with `need_rules=False` there may be no rule.
    Raises RuleError with every problem of the files.
    """
    return read(
        rules_document.parse(path),
        path,
        environment,
        need_secrets=need_secrets,
        need_rules=need_rules,
    )


def load_text(text: str, path: Path) -> RuleSet:
    """Read a text as if it stood in the file `path`; variables that aren't set are only warnings. Raises RuleError."""
    return read(rules_document.parse_text(text, path), path, need_secrets=False)


def read(
    document: Document,
    path: Path,
    environment: Mapping[str, str] | None = None,
    *,
    need_secrets: bool = True,
    need_rules: bool = True,
) -> RuleSet:
    """The same, of a document that was parsed already."""
    rules, problems = examine(
        document, path, environment, need_secrets=need_secrets, need_rules=need_rules
    )
    if errors := [problem for problem in problems if problem.level == "error"]:
        raise RuleError(errors)
    return rules


def examine(
    document: Document,
    path: Path,
    environment: Mapping[str, str] | None = None,
    *,
    need_secrets: bool = True,
    need_rules: bool = True,
) -> tuple[RuleSet, tuple[Problem, ...]]:
    """The same, with all that can be made of files that are wrong, and everything that is to be said of them, in order.

    A rule is among them when it is known what it is about, whatever else is wrong with it: the database can be asked.
    """
    environment = os.environ if environment is None else environment
    return _RulesReader(document, path, environment, need_secrets).read(need_rules=need_rules)


class _RulesReader:
    """Collects problems while it reads; what is wrong is left out of the RuleSet."""

    def __init__(
        self, document: Document, path: Path, environment: Mapping[str, str], need_secrets: bool
    ) -> None:
        self.document = document
        self.path = path
        self.found: list[Problem] = []
        self.environment = environment
        folder = path if path.is_dir() else path.parent
        self.connections = Connections(document, folder.resolve(), environment, need_secrets)
        self.redacting = RedactionKeys(document, environment, need_secrets)
        allowed = self._spec(AllowSpec, ("allow",), self._section("allow"), "`allow`")
        self.runs_python = allowed is not None and allowed.python
        if self.runs_python:
            plugins.trust(folder.resolve())
        self.kinds = plugins.names("checks")
        #: The rules that are taken for what they were meant to be.
        self.guessed: set[str] = set()

    def read(self, *, need_rules: bool = True) -> tuple[RuleSet, tuple[Problem, ...]]:
        """The rules, and what is wrong or worth a look."""
        data = self.document.data
        for name in data.keys() - set(misplaced_keys.SECTIONS):
            self.found.append(self._unknown_section(name))
        sources = self.connections.sources(self._section("sources"))
        channels = self.connections.channels(self._section("channels"))
        state = self.connections.state(data.get("state"))
        named = self._name(state)
        defaults = (
            self._spec(Defaults, ("defaults",), self._section("defaults"), "`defaults`")
            or Defaults()
        )
        alerts = (
            self._spec(Settings, ("alerts",), self._section("alerts"), "`alerts`") or Settings()
        )
        self._check_notify(("defaults", "notify"), defaults.notify or ())
        for whose in ("owners", "tags"):
            for word, names in getattr(alerts, whose).items():
                self._check_notify(("alerts", whose, word), names)
        rules = {
            rule.id: rule
            for name, raw in self._section("rules").items()
            for suffix, one in foreach.expand(raw)
            if (rule := self._rule(str(name), suffix, one, defaults, alerts)) is not None
        }
        self._check_depends_on(rules)
        known = {*self._section("rules"), *rules}
        sound = {name: rule for name, rule in rules.items() if rule.written not in self.guessed}
        examples = CaseReader(self.document, sound, known, zones(self._section("sources")))
        cases = examples.read()
        self.found += examples.problems
        if need_rules and not self._section("rules") and not self.found:
            place = ("rules",) if "rules" in data else ()
            advice = "write a first one below it" if place else "add `rules:` with a first one"
            self.found.append(self.document.problem(place, "there are no rules", advice, key=True))
        warnings = (*self.connections.warnings, *self.redacting.warnings)
        read = RuleSet(
            path=self.path,
            revision=self.document.revision,
            sources=sources,
            channels=channels,
            rules=rules,
            state=state,
            named=named,
            alerts=alerts,
            cases=cases,
            warnings=warnings,
        )
        # What `for_each` made several rules of stands in the file once.
        return read, in_order(dict.fromkeys((*self._all_problems(), *warnings)))

    def _unknown_section(self, name: str) -> Problem:
        value = self.document.data[name]
        if (
            isinstance(value, dict)
            and misplaced_keys.rule_keys() & value.keys()
            and not misplaced_keys.home((name,), misplaced_keys.SECTIONS)
        ):
            message = f"`{name}` looks like a rule, and stands outside of `rules`"
            return self.document.problem(
                (name,), message, "indent it, with all of its keys, below `rules:`", key=True
            )
        return validation_errors.unknown_key(
            self.document, (name,), misplaced_keys.SECTIONS, "the rules file"
        )

    def _name(self, state: str | None) -> str | None:
        """What the file is called in the store: as it says; else by its name in a store beside it, which moves with it;
        else by its whole path, which the caller knows."""
        name = self.document.data.get("name")
        if name is not None and not (isinstance(name, str) and name.strip()):
            self.found.append(
                self.document.problem(("name",), "`name` must be text", "write one or two words")
            )
        if isinstance(name, str):
            return name
        beside = state is None and not self.environment.get("SANITYD_STATE")
        return (self.path.name if self.path.is_file() else ".") if beside else None

    def _all_problems(self) -> list[Problem]:
        """What is wrong as YAML and as rules. A line that is wrong as YAML is told once."""
        structural = self.document.problems
        told = {(problem.path, problem.line) for problem in structural}
        others = [*self.found, *self.connections.problems, *self.redacting.problems]
        return [
            *structural,
            *(problem for problem in others if (problem.path, problem.line) not in told),
        ]

    def _section(self, name: str) -> dict[str, Any]:
        value = self.document.data.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            problem = self.document.problem(
                (name,), f"`{name}` must be a mapping", "write one key per line below it"
            )
            if problem not in self.found:
                self.found.append(problem)
            return {}
        return value

    def _spec(self, model: type[SpecT], place: KeyPath, raw: Any, where: str) -> SpecT | None:
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            self.found += validation_errors.problems(self.document, place, error, model, where)
            return None

    def _rule(
        self, name: str, suffix: str, raw: Any, defaults: Defaults, alerts: Settings
    ) -> Rule | None:
        place: KeyPath = ("rules", name)
        if (misplaced := misplaced_keys.misindented(self.document, name)) is not None:
            self.found.append(misplaced)
            return None
        if not ID.fullmatch(name):
            advice = f"write it in kebab-case: `{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-') or 'my-rule'}`"
            self.found.append(
                self.document.problem(place, f"`{name}` is not an id", advice, key=True)
            )
        if not isinstance(raw, dict):
            wrong = "is empty" if raw is None else "must be a mapping"
            advice = "write its keys below it, indented"
            self.found.append(
                self.document.problem(place, f"rule `{name}` {wrong}", advice, key=raw is None)
            )
            return None
        chosen = select_check.choose(self.document, name, raw, self.kinds)
        key, kind = chosen if isinstance(chosen, tuple) else ("", None)
        self.found += [chosen] if isinstance(chosen, Problem) else []
        spec = self._rule_spec(name, raw)
        self._check_notify((*place, "notify"), (text for _, text in texts(raw.get("notify"))))
        check = None if kind is None else self._check(name, key, kind, raw[key])
        # What was said up to here says nothing about what else the rule looks at.
        beside = len(self.found)
        # Read off the file itself, so that a mistake in another key hides neither a wrong table nor a wrong channel.
        table = (
            self._table((*place, "table"), raw["table"], None)
            if isinstance(raw.get("table"), str)
            else None
        )
        subject = self._subject(name, raw, spec, check, table, defaults)
        if subject is not None and check is not None:
            check, subject = self._askable(place, raw, check, subject)
        if subject is None or (check is None and subject.table is None):
            return None
        if check is None or key != kind or len(self.found) > beside:
            # Nobody runs it, and no example is measured by it: the database is asked about what is left.
            self.guessed.add(name)
        check = check or recovery.Unknown()
        invariant = Invariant(
            id=name + suffix,
            kind=key,
            check=check,
            subject=subject,
            ladder=spec.severity or defaults.severity or Ladder(),
            cap=alerts.limits.tracked_rows,
            confirm=spec.confirm or Confirm(),
            scan=spec.scan or Scan(),
            redaction=self.redacting.of_rule(name, spec, check, defaults),
        )
        return build_rule(invariant, spec, defaults, alerts, self.document.location(place))

    def _askable(
        self, place: KeyPath, raw: Mapping[str, Any], check: Check, subject: Subject
    ) -> tuple[Check | None, Subject]:
        """The check and the rows without what must not be brought before a database."""
        where = raw["where"] if isinstance(raw.get("where"), str) else None
        dialects = self._dialects(subject.source, check)
        refused = gate_problems(self.document, place, check, None, dialects)
        narrowing = gate_problems(self.document, place, recovery.Unknown(), where, dialects)
        self.found += [*refused, *narrowing]
        others = [self._other_table(place, other, subject.source) for other in check.tables()]
        if len(others) > 1 and any(
            other is not None and other.source != subject.source for other in others
        ):
            advice = "make one rule of each"
            message = f"`{check.kind}` of several tables can't be compared with another source"
            self.found.append(
                self.document.problem((*place, check.kind), message, advice, key=True)
            )
            refused = [*refused, self.found[-1]]
        known = None not in others and not self._names_no_source(place, check)
        good = not refused and known and (self.runs_python or not check.runs_code)
        return check if good else None, replace(subject, where=None) if narrowing else subject

    def _names_no_source(self, place: KeyPath, check: Check) -> bool:
        """Whether a query of the check is to run in a source that there isn't, which is told."""
        query = check.query_there()
        if query is None or str(query.source) in self.connections.source_names:
            return False
        at = self.document.find((*place, check.kind), str(query.source)) or (*place, check.kind)
        self.found.append(self._no_such_source(at, str(query.source)))
        return True

    def _dialects(self, source: str, check: Check) -> tuple[str | None, str | None]:
        """The dialect of the rule's own SQL, and that of what its check says of another table."""
        own = self.connections.dialect(source)
        query = check.query_there()
        there = (
            [str(query.source)]
            if query
            else [text.split(".", maxsplit=1)[0] for text in check.tables()]
        )
        other = next((name for name in there if name in self.connections.source_names), source)
        return own, self.connections.dialect(other)

    def _rule_spec(self, name: str, raw: Mapping[str, Any]) -> RuleSpec:
        """The rule without its check, and without what is wrong in it."""
        place: KeyPath = ("rules", name)
        self.found += validation_errors.empty_keys(
            self.document, place, raw, misplaced_keys.rule_keys()
        )
        rest = {
            key: value for key, value in raw.items() if key not in self.kinds and value is not None
        }
        try:
            return RuleSpec.model_validate(rest)
        except ValidationError as error:
            self.found += validation_errors.problems(
                self.document, place, error, RuleSpec, f"rule `{name}`", self.kinds
            )
            wrong = {
                details["loc"][0] for details in error.errors(include_url=False) if details["loc"]
            }
            right = {key: value for key, value in rest.items() if key not in wrong}
            return RuleSpec.model_validate({**right, **recovery.ages(rest, wrong)})

    def _check(self, name: str, key: str, kind: str, options: Any) -> Check | None:
        """The check, or as much of it as can be read: the database can be asked about that."""
        model, place = plugins.lookup("checks", kind), ("rules", name, key)
        try:
            return model.model_validate(options)  # type: ignore[no-any-return]
        except ValidationError as error:
            self.found += validation_errors.problems(
                self.document, place, error, model, f"`{kind}` of rule `{name}`"
            )
            *guesses, rest = recovery.options(options, error, model)
        for reading in (*guesses, rest):
            with suppress(ValidationError):
                self.guessed |= set() if reading == rest else {name}
                return model.model_validate(reading)  # type: ignore[no-any-return]
        return None

    def _subject(
        self,
        name: str,
        raw: Mapping[str, Any],
        spec: RuleSpec,
        check: Check | None,
        table: TableName | None,
        defaults: Defaults,
    ) -> Subject | None:
        place: KeyPath = ("rules", name)
        names = self.connections.source_names
        nulls = spec.nulls or defaults.nulls
        when_empty = spec.when_empty or defaults.when_empty
        if check is not None:
            # What seems to be missing may be there, misspelt or in the wrong place.
            known = all(
                key not in raw or getattr(spec, key) is not None
                for key in ("table", "source", "key")
            )
            whole = (
                known and raw.keys() <= misplaced_keys.rule_keys() and not self.document.problems
            )
            fitting = Fitting(self.document, place, names, self.runs_python, says_missing=whole)
            self.found += fitting.problems(name, spec, check, defaults)
        reads_table = check is None or check.reads_table
        source = table.source if table else spec.source
        if source is None and not reads_table and len(names) == 1:
            [source] = names
        if source is None or (check is not None and reads_table and table is None):
            return None
        if spec.source is not None and source not in names:
            self.found.append(self._no_such_source((*place, "source"), spec.source))
            return None
        # What has no meaning beside the check is told, and not looked at.
        about_rows = reads_table and (check is None or check.about_rows)
        return Subject(
            source=source,
            table=table if reads_table else None,
            sources=frozenset(names),
            where=spec.where if about_rows else None,
            within=spec.within if about_rows else None,
            window=spec.window if about_rows else None,
            key=() if check is not None and check.brings_own_key else tuple(spec.key or ()),
            show=tuple(spec.show or ()),
            nulls_fail=nulls == "fail" and bool(check and check.judges_nulls),
            empty_fails=None if when_empty is None else when_empty == "fail",
        )

    def _table(self, place: KeyPath, text: str, default: str | None) -> TableName | None:
        names = self.connections.source_names
        try:
            return TableName.parse(text, names, default)
        except ValueError as error:
            first = text.split(".", maxsplit=1)[0]
            if "." in text and (advice := did_you_mean(first, names)):
                self.found.append(
                    self.document.problem(place, f"there is no source `{first}`", advice)
                )
            else:
                advice = f"write `source.table`; the sources are: {', '.join(sorted(names)) or 'none yet'}"
                self.found.append(self.document.problem(place, str(error), advice))
            return None

    def _other_table(self, place: KeyPath, text: str, source: str) -> TableName | None:
        return self._table(self.document.find(place, text) or place, text, source)

    def _no_such_source(self, place: KeyPath, name: str) -> Problem:
        names = self.connections.source_names
        advice = (
            did_you_mean(name, names)
            or f"the sources are: {', '.join(sorted(names)) or 'none yet'}"
        )
        return self.document.problem(place, f"there is no source `{name}`", advice)

    def _check_depends_on(self, rules: Mapping[str, Rule]) -> None:
        """What rules depend on are rules of the file (as written, or as expanded) or sources."""
        known = {*rules, *self._section("rules"), *self.connections.source_names}
        for name, raw in self._section("rules").items():
            for path, other in texts(raw.get("depends_on")) if isinstance(raw, dict) else ():
                place: KeyPath = ("rules", name, "depends_on", *path)
                if other == name:
                    advice = "name what explains it, or take this out"
                    self.found.append(
                        self.document.problem(place, f"rule `{name}` depends on itself", advice)
                    )
                elif other not in known:
                    advice = did_you_mean(other, known) or "name a rule or a source"
                    self.found.append(
                        self.document.problem(
                            place, f"there is no rule or source `{other}`", advice
                        )
                    )

    def _check_notify(self, place: KeyPath, names: Iterable[str]) -> None:
        known = self.connections.channel_names
        for name in names:
            if name not in known:
                advice = (
                    did_you_mean(name, known)
                    or f"the channels are: {', '.join(sorted(known)) or 'none yet'}"
                )
                where = self.document.find(place, name) or place
                self.found.append(
                    self.document.problem(where, f"there is no channel `{name}`", advice)
                )
