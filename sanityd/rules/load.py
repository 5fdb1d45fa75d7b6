"""A parsed rules file → a RuleSet. Every section is read on its own, so that one mistake hides no other."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from sanityd import plugins, rulefile
from sanityd.alerts.base import Channel
from sanityd.alerts.settings import Settings
from sanityd.checks.base import Check, FunctionCheck, PairCheck
from sanityd.checks.invariant import Confirm, Invariant, Ladder, Scan, Subject, TableName
from sanityd.checks.redaction import Redaction
from sanityd.errors import Problem, RuleError
from sanityd.problems import suggest
from sanityd.rulefile import Document, texts
from sanityd.rules import foreach, mistakes
from sanityd.rules.casereading import CaseReader, zones
from sanityd.rules.connections import Connections
from sanityd.rules.redacting import Redacting
from sanityd.rules.rule import Rule, RuleSet
from sanityd.rules.spec import AllowSpec, Defaults, RuleSpec
from sanityd.rules.sqltext import gate_problems
from sanityd.schedule import parse_schedule

SECTIONS = ("sources", "channels", "alerts", "defaults", "rules", "tests", "state", "allow", "name")
ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
SpecT = TypeVar("SpecT", bound=BaseModel)
Place = tuple[str | int, ...]


def load(
    path: Path, environment: Mapping[str, str] | None = None, *, need_secrets: bool = True, need_rules: bool = True
) -> RuleSet:
    """Read a rules file or a folder of them.

    Parameters: `environment` is where `${NAME}` is looked up (os.environ); with `need_secrets=False` a variable that is
    not set is only a warning, for editors and CI that have no secrets; with `need_rules=False` there may be no rule.
    Raises RuleError with every problem of the files.
    """
    return read(rulefile.parse(path), path, environment, need_secrets=need_secrets, need_rules=need_rules)


def read(
    document: Document,
    path: Path,
    environment: Mapping[str, str] | None = None,
    *,
    need_secrets: bool = True,
    need_rules: bool = True,
) -> RuleSet:
    """The same, of a document that was parsed already."""
    reader = _Reader(document, path, os.environ if environment is None else environment, need_secrets)
    return reader.read(need_rules=need_rules)


def load_text(text: str, path: Path) -> RuleSet:
    """Read a text as if it stood in the file `path`; variables that aren't set are only warnings. Raises RuleError."""
    return _Reader(rulefile.parse_text(text, path), path, os.environ, need_secrets=False).read()


class _Reader:
    """Collects problems while it reads; gives a RuleSet only when there are none."""

    def __init__(self, document: Document, path: Path, environment: Mapping[str, str], need_secrets: bool) -> None:
        self.document = document
        self.path = path
        self.found: list[Problem] = []
        self.environment = environment
        folder = path if path.is_dir() else path.parent
        self.connections = Connections(document, folder.resolve(), environment, need_secrets)
        self.redacting = Redacting(document, environment, need_secrets)
        allowed = self._spec(AllowSpec, ("allow",), self._section("allow"), "`allow`")
        self.runs_python = allowed is not None and allowed.python
        if self.runs_python:
            plugins.trust(folder.resolve())
        self.kinds = plugins.names("checks")

    def read(self, *, need_rules: bool = True) -> RuleSet:
        data = self.document.data
        for name in data.keys() - set(SECTIONS):
            self.found.append(mistakes.unknown_key(self.document, (name,), SECTIONS, "the rules file"))
        sources = self.connections.sources(self._section("sources"))
        channels = self.connections.channels(self._section("channels"))
        state = self.connections.state(data.get("state"))
        named = self._name(state)
        defaults = self._spec(Defaults, ("defaults",), self._section("defaults"), "`defaults`") or Defaults()
        alerts = self._spec(Settings, ("alerts",), self._section("alerts"), "`alerts`") or Settings()
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
        examples = CaseReader(self.document, rules, known, zones(self._section("sources")))
        cases = examples.read()
        self.found += examples.problems
        if need_rules and not self._section("rules") and not self.found:
            self.found.append(self.document.problem((), "there are no rules", "add `rules:` with a first one"))
        if problems := self._all_problems():
            raise RuleError(sorted(problems, key=lambda problem: (str(problem.path), problem.line, problem.column)))
        return RuleSet(
            path=self.path,
            revision=self.document.revision,
            sources=sources,
            channels=channels,
            rules=rules,
            state=state,
            named=named,
            alerts=alerts,
            cases=cases,
            warnings=(*self.connections.warnings, *self.redacting.warnings),
        )

    def _name(self, state: str | None) -> str | None:
        """What the file is called in the store: as it says; else by its name in a store beside it, which moves with it;
        else by its whole path, which the caller knows."""
        name = self.document.data.get("name")
        if name is not None and not (isinstance(name, str) and name.strip()):
            self.found.append(self.document.problem(("name",), "`name` must be text", "write one or two words"))
        if isinstance(name, str):
            return name
        beside = state is None and not self.environment.get("SANITYD_STATE")
        return (self.path.name if self.path.is_file() else ".") if beside else None

    def _all_problems(self) -> list[Problem]:
        """What is wrong as YAML and as rules. A line that is wrong as YAML is told once."""
        structural = self.document.problems
        told = {(problem.path, problem.line) for problem in structural}
        others = [*self.found, *self.connections.problems, *self.redacting.problems]
        return [*structural, *(problem for problem in others if (problem.path, problem.line) not in told)]

    def _section(self, name: str) -> dict[str, Any]:
        value = self.document.data.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            problem = self.document.problem((name,), f"`{name}` must be a mapping", "write one key per line below it")
            if problem not in self.found:
                self.found.append(problem)
            return {}
        return value

    def _spec(self, model: type[SpecT], place: Place, raw: Any, where: str) -> SpecT | None:
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            self.found += mistakes.problems(self.document, place, error, list(model.model_fields), where)
            return None

    def _rule(self, name: str, suffix: str, raw: Any, defaults: Defaults, alerts: Settings) -> Rule | None:
        place: Place = ("rules", name)
        before = len(self.found)
        if not ID.fullmatch(name):
            advice = f"write it in kebab-case: `{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-') or 'my-rule'}`"
            self.found.append(self.document.problem(place, f"`{name}` is not an id", advice, key=True))
        if not isinstance(raw, dict):
            self.found.append(
                self.document.problem(place, f"rule `{name}` must be a mapping", "write its keys below it")
            )
            return None
        kind = self._kind(name, raw)
        spec = self._rule_spec(name, raw)
        check = None if kind is None else self._check(name, kind, raw[kind])
        # Read off the file itself, so that a mistake in another key hides neither a wrong table nor a wrong channel.
        table = self._table((*place, "table"), raw["table"], None) if isinstance(raw.get("table"), str) else None
        self._check_notify((*place, "notify"), (text for _, text in texts(raw.get("notify"))))
        subject = None if spec is None else self._subject(name, spec, check, table, defaults)
        if check is not None:
            where = raw["where"] if isinstance(raw.get("where"), str) else None
            source = table.source if table else str(raw.get("source"))
            self.found += gate_problems(self.document, place, check, where, self._dialects(source, check))
        if spec is None or check is None or subject is None or kind is None:
            return None
        redaction = self.redacting.of_rule(name, spec, check, defaults)
        notify = spec.notify if spec.notify is not None else defaults.notify
        owner = spec.owner if spec.owner is not None else defaults.owner or ""
        tags = spec.tags if spec.tags is not None else defaults.tags or []
        own = alerts.owners.get(owner, [])
        hear = [*(own if notify is None else notify), *(name for tag in tags for name in alerts.tags.get(tag, []))]
        if len(self.found) > before:
            return None
        return Rule(
            id=name + suffix,
            invariant=Invariant(
                id=name + suffix,
                kind=kind,
                check=check,
                subject=subject,
                ladder=spec.severity or defaults.severity or Ladder(),
                cap=alerts.limits.tracked_rows,
                confirm=spec.confirm or Confirm(),
                scan=spec.scan or Scan(),
                redaction=redaction,
            ),
            schedule=spec.schedule or defaults.schedule or parse_schedule("every 5m"),
            notify=tuple(dict.fromkeys(hear)),
            on_error=tuple(own or dict.fromkeys(hear)),
            owner=owner,
            tags=tuple(tags),
            depends_on=tuple(spec.depends_on or ()),
            noise=spec.noise,
            why=spec.why,
            fix=spec.fix,
            enabled=spec.enabled,
            location=self.document.location(place),
            meaning=meaning_of(kind, check, subject, redaction),
        )

    def _dialects(self, source: str, check: Check) -> tuple[str | None, str | None]:
        """The dialect of the rule's own SQL, and that of what its check says of another table."""
        own = self.connections.dialect(source)
        query = check.query_there()
        there = [str(query.source)] if query else [text.split(".", maxsplit=1)[0] for text in check.tables()]
        other = next((name for name in there if name in self.connections.source_names), source)
        return own, self.connections.dialect(other)

    def _kind(self, name: str, raw: Mapping[str, Any]) -> str | None:
        kinds = [key for key in raw if key in self.kinds]
        place: Place = ("rules", name)
        if len(kinds) == 1:
            return kinds[0]
        if kinds:
            advice = "make one rule of each"
            message = f"rule `{name}` has {len(kinds)} checks: {', '.join(kinds)}"
            self.found.append(self.document.problem((*place, kinds[1]), message, advice, key=True))
        elif not any(key not in RuleSpec.model_fields for key in raw):
            advice = "add one of: " + ", ".join(self.kinds)
            self.found.append(self.document.problem(place, f"rule `{name}` has no check", advice, key=True))
        return None

    def _rule_spec(self, name: str, raw: Mapping[str, Any]) -> RuleSpec | None:
        rest = {key: value for key, value in raw.items() if key not in self.kinds}
        try:
            return RuleSpec.model_validate(rest)
        except ValidationError as error:
            known = [*RuleSpec.model_fields, *self.kinds]
            self.found += mistakes.problems(self.document, ("rules", name), error, known, f"rule `{name}`")
            return None

    def _check(self, name: str, kind: str, options: Any) -> Check | None:
        model = plugins.lookup("checks", kind)
        try:
            return model.model_validate(options)  # type: ignore[no-any-return]
        except ValidationError as error:
            fields = [field.alias or key for key, field in model.model_fields.items()]
            place = ("rules", name, kind)
            self.found += mistakes.problems(self.document, place, error, fields, f"`{kind}` of rule `{name}`")
            return None

    def _subject(
        self, name: str, spec: RuleSpec, check: Check | None, table: TableName | None, defaults: Defaults
    ) -> Subject | None:
        place: Place = ("rules", name)
        names = self.connections.source_names
        nulls = spec.nulls or defaults.nulls
        when_empty = spec.when_empty or defaults.when_empty
        if check is not None:
            self._check_fits(place, name, spec, check, defaults)
        source = table.source if table else spec.source
        if source is None:
            return None
        if spec.source is not None and source not in names:
            self.found.append(self._no_such_source((*place, "source"), spec.source))
            return None
        if check is not None and (query := check.query_there()) is not None and str(query.source) not in names:
            at = self.document.find((*place, check.kind), str(query.source)) or (*place, check.kind)
            self.found.append(self._no_such_source(at, str(query.source)))
        others = [self._other_table(place, other, source) for other in (check.tables() if check else ())]
        if len(others) > 1 and check and any(other is not None and other.source != source for other in others):
            advice = "make one rule of each"
            message = f"`{check.kind}` of several tables can't be compared with another source"
            self.found.append(self.document.problem((*place, check.kind), message, advice, key=True))
        return Subject(
            source=source,
            table=table,
            sources=frozenset(names),
            where=spec.where,
            within=spec.within,
            window=spec.window,
            key=tuple(spec.key or ()),
            show=tuple(spec.show or ()),
            nulls_fail=nulls == "fail" and bool(check and check.judges_nulls),
            empty_fails=None if when_empty is None else when_empty == "fail",
        )

    def _check_fits(self, place: Place, name: str, spec: RuleSpec, check: Check, defaults: Defaults) -> None:
        """The keys of a rule that its kind can't do without, or can't have."""
        say = self.document.problem
        if check.reads_table and spec.table is None:
            self.found.append(say(place, f"rule `{name}` names no table", "add `table: source.table`", key=True))
        if not check.reads_table:
            if spec.source is None:
                self.found.append(say(place, f"rule `{name}` names no source", "add `source: NAME`", key=True))
            if spec.key is None and not isinstance(check, PairCheck):
                advice = "add `key:` with the columns that identify a row of the query"
                self.found.append(say((*place, check.kind), f"`{check.kind}` needs a key", advice, key=True))
            for key in ("table", "where", "within", "window"):
                if getattr(spec, key) is not None:
                    advice = "say it in the SELECT"
                    self.found.append(
                        say((*place, key), f"`{key}` has no meaning beside `{check.kind}`", advice, key=True)
                    )
        elif spec.source is not None:
            advice = "take it out: the table's name says it"
            self.found.append(say((*place, "source"), "`source` has no meaning beside `table`", advice, key=True))
        self._check_kind_fits(place, spec, check, defaults)

    def _check_kind_fits(self, place: Place, spec: RuleSpec, check: Check, defaults: Defaults) -> None:
        say = self.document.problem
        if isinstance(check, PairCheck) and spec.key is not None:
            message = f"`key` has no meaning for `{check.kind}`: its rows are known by `on`"
            self.found.append(say((*place, "key"), message, "take it out", key=True))
        if not check.about_rows:
            for key in ("where", "within", "window", "when_empty"):
                if getattr(spec, key) is not None:
                    message = f"`{key}` has no meaning for `{check.kind}`, which reads no rows"
                    self.found.append(say((*place, key), message, "take it out", key=True))
        if isinstance(check, FunctionCheck) and not self.runs_python:
            advice = "add `allow: {python: true}` at the top of the file if you trust it"
            message = f"`{check.kind}` runs code with sanityd's own rights"
            self.found.append(say((*place, check.kind), message, advice, key=True))
        if spec.scan is not None and spec.scan.column and (reason := self._looks_at_all(spec, check, defaults)):
            message = f"`scan: new rows` can't be: {reason}"
            self.found.append(say((*place, "scan"), message, "take it out: `full` is what is done then"))
        if spec.nulls == "fail" and not check.judges_nulls:
            advice = "NULLs are this kind's own business" if check.kind == "not_null" else "add a `not_null` rule"
            self.found.append(say((*place, "nulls"), f"`nulls` has no meaning for `{check.kind}`", advice, key=True))

    def _looks_at_all(self, spec: RuleSpec, check: Check, defaults: Defaults) -> str:
        """Why new rows are not enough for a rule; nothing where they are."""
        if not check.can_narrow:
            return f"`{check.kind}` is about all rows"
        own = str(spec.table).split(".", maxsplit=1)[0]
        names = self.connections.source_names
        if any(text.split(".", maxsplit=1)[0] in names - {own} for text in check.tables() if "." in text):
            return "tables of two sources are compared as a whole"
        if any(step.percent is not None for step in (spec.severity or defaults.severity or Ladder()).steps):
            return "a share is one of all rows"
        return "a row that is to be confirmed is no longer new at the next run" if spec.confirm else ""

    def _table(self, place: Place, text: str, default: str | None) -> TableName | None:
        names = self.connections.source_names
        try:
            return TableName.parse(text, names, default)
        except ValueError as error:
            first = text.split(".", maxsplit=1)[0]
            if "." in text and (advice := suggest(first, names)):
                self.found.append(self.document.problem(place, f"there is no source `{first}`", advice))
            else:
                advice = f"write `source.table`; the sources are: {', '.join(sorted(names)) or 'none yet'}"
                self.found.append(self.document.problem(place, str(error), advice))
            return None

    def _other_table(self, place: Place, text: str, source: str) -> TableName | None:
        return self._table(self.document.find(place, text) or place, text, source)

    def _no_such_source(self, place: Place, name: str) -> Problem:
        names = self.connections.source_names
        advice = suggest(name, names) or f"the sources are: {', '.join(sorted(names)) or 'none yet'}"
        return self.document.problem(place, f"there is no source `{name}`", advice)

    def _check_depends_on(self, rules: Mapping[str, Rule]) -> None:
        """What rules depend on are rules of the file (as written, or as expanded) or sources."""
        known = {*rules, *self._section("rules"), *self.connections.source_names}
        for name, raw in self._section("rules").items():
            for path, other in texts(raw.get("depends_on")) if isinstance(raw, dict) else ():
                place: Place = ("rules", name, "depends_on", *path)
                if other == name:
                    advice = "name what explains it, or take this out"
                    self.found.append(self.document.problem(place, f"rule `{name}` depends on itself", advice))
                elif other not in known:
                    advice = suggest(other, known) or "name a rule or a source"
                    self.found.append(self.document.problem(place, f"there is no rule or source `{other}`", advice))

    def _check_notify(self, place: Place, names: Iterable[str]) -> None:
        known = self.connections.channel_names
        for name in names:
            if name not in known:
                advice = suggest(name, known) or f"the channels are: {', '.join(sorted(known)) or 'none yet'}"
                where = self.document.find(place, name) or place
                self.found.append(self.document.problem(where, f"there is no channel `{name}`", advice))


def meaning_of(kind: str, check: Check, subject: Subject, redaction: Redaction | None = None) -> str:
    """A hash of what the rule asks for. Words for people (why, fix), times and recipients are not in it."""
    parts: list[Any] = [kind, repr(check), str(subject.table), subject.source, subject.where, subject.key]
    parts += [repr(subject.within), repr(subject.window), subject.nulls_fail, subject.empty_fails]
    # Rows are known by other keys then, also when the secret is another.
    parts += [redaction.mark] if redaction else []
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


__all__ = ["Channel", "RuleSet", "load", "meaning_of", "read"]
