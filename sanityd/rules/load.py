"""A parsed rules file → a RuleSet, or a RuleError with every problem of the file.

Every section is read on its own, so that no error hides another. A Rule is built only of a rule
without errors; of the others `lint` gets the valid parts, as drafts.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from sanityd import plugins
from sanityd.alerts.settings import Settings
from sanityd.errors import Problem, RuleError
from sanityd.rules import foreach, misplaced_keys, references, validation_errors
from sanityd.rules.build import RuleBuilder
from sanityd.rules.case_reader import CaseReader, zones
from sanityd.rules.cases import Case
from sanityd.rules.connections import Connections
from sanityd.rules.diagnostics import in_order
from sanityd.rules.draft import RuleDraft
from sanityd.rules.redaction import RedactionKeys
from sanityd.rules.rule import Rule, RuleSet
from sanityd.rules.rule_parser import ID, FileContext, ParsedRule, RuleParser
from sanityd.rules.spec import AllowSpec, Defaults
from sanityd.rules.yaml import rules_document
from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document

__all__ = ["ID", "Examination", "examine", "load", "load_text", "read"]

SpecT = TypeVar("SpecT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Examination:
    """What a rules file says, and all that is wrong with it or worth a look."""

    #: With the rules that have no errors.
    rules: RuleSet
    #: The rules that a database can be asked about, also those with errors, in the file's order.
    drafts: tuple[RuleDraft, ...]
    #: Errors and warnings, in the order of the files.
    problems: tuple[Problem, ...]


def load(
    path: Path,
    environment: Mapping[str, str] | None = None,
    *,
    need_secrets: bool = True,
    need_rules: bool = True,
) -> RuleSet:
    """Read a rules file or a folder of them.

    Parameters: `environment` is where `${NAME}` is looked up (os.environ); with
    `need_secrets=False` a variable that is not set is only a warning, for editors and CI that have
    no secrets; with `need_rules=False` a file without any rule is valid.
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
    """Read a text as if it were the content of the file `path`.

    Variables that are not set are only warnings. Raises RuleError.
    """
    return read(rules_document.parse_text(text, path), path, need_secrets=False)


def read(
    document: Document,
    path: Path,
    environment: Mapping[str, str] | None = None,
    *,
    need_secrets: bool = True,
    need_rules: bool = True,
) -> RuleSet:
    """Read a document that is parsed already. Parameters and errors are those of `load`."""
    examination = examine(
        document, path, environment, need_secrets=need_secrets, need_rules=need_rules
    )
    errors = [problem for problem in examination.problems if problem.level == "error"]
    if errors:
        raise RuleError(errors)
    return examination.rules


def examine(
    document: Document,
    path: Path,
    environment: Mapping[str, str] | None = None,
    *,
    need_secrets: bool = True,
    need_rules: bool = True,
) -> Examination:
    """Read a document as `read` does, but return its problems instead of raising them."""
    if environment is None:
        environment = os.environ
    reader = _FileReader(document, path, environment, need_secrets)
    return reader.examine(need_rules=need_rules)


class _FileReader:
    """Reads the sections of a rules file and collects problems."""

    def __init__(
        self, document: Document, path: Path, environment: Mapping[str, str], need_secrets: bool
    ) -> None:
        self._document = document
        self._path = path
        self._environment = environment
        self._problems: list[Problem] = []
        folder = path if path.is_dir() else path.parent
        self._folder = folder.resolve()
        self._connections = Connections(document, self._folder, environment, need_secrets)
        self._redaction_keys = RedactionKeys(document, environment, need_secrets)

    def examine(self, *, need_rules: bool) -> Examination:
        """Return all that the file says, and all its problems."""
        allowed = self._allowed()
        self._check_section_names()
        sources = self._connections.sources(self._section("sources"))
        channels = self._connections.channels(self._section("channels"))
        state = self._connections.state(self._document.data.get("state"))
        name = self._name(state)
        defaults = self._defaults()
        alerts = self._alerts()
        context = FileContext(
            self._document,
            self._connections,
            defaults,
            plugins.kind_names("checks"),
            allowed.python,
        )
        parsed_rules = self._parse_rules(context, allowed)
        rules = self._build_rules(parsed_rules, defaults, alerts)
        self._check_dependencies(parsed_rules)
        cases = self._cases(parsed_rules, rules)
        if need_rules:
            self._check_has_rules()
        warnings = (*self._connections.warnings, *self._redaction_keys.warnings)
        rule_set = RuleSet(
            path=self._path,
            revision=self._document.revision,
            sources=sources,
            channels=channels,
            rules=rules,
            state=state,
            named=name,
            alerts=alerts,
            cases=cases,
            warnings=warnings,
            data=self._document.data,
        )
        drafts = tuple(rule.draft for rule in parsed_rules if rule.draft is not None)
        # A rule that `for_each` makes several of has each of its errors once.
        problems = dict.fromkeys((*self._all_problems(), *warnings))
        return Examination(rule_set, drafts, in_order(problems))

    def _allowed(self) -> AllowSpec:
        """Return what `allow` says; with Python allowed, check kinds beside the file count."""
        allowed = self._spec(AllowSpec, "allow") or AllowSpec()
        if allowed.python:
            plugins.trust_folder(self._folder)
        return allowed

    def _check_section_names(self) -> None:
        for name in self._document.data.keys() - set(misplaced_keys.SECTIONS):
            self._problems.append(self._unknown_section(name))

    def _unknown_section(self, name: str) -> Problem:
        value = self._document.data[name]
        has_rule_keys = isinstance(value, dict) and misplaced_keys.rule_keys() & value.keys()
        if has_rule_keys and not misplaced_keys.home((name,), misplaced_keys.SECTIONS):
            message = f"`{name}` looks like a rule, and stands outside of `rules`"
            advice = "indent it, with all of its keys, below `rules:`"
            return self._document.problem((name,), message, advice, key=True)
        return validation_errors.unknown_key(
            self._document, (name,), misplaced_keys.SECTIONS, "the rules file"
        )

    def _name(self, state: str | None) -> str | None:
        """Return the name of the file in the store: its `name`.

        Without one, a file whose store is beside it has its file name, so that both can be moved
        together. For any other file it is None: the caller takes the whole path.
        """
        name = self._document.data.get("name")
        if name is not None and not (isinstance(name, str) and name.strip()):
            self._problems.append(
                self._document.problem(("name",), "`name` must be text", "write one or two words")
            )
        if isinstance(name, str):
            return name
        store_is_beside = state is None and not self._environment.get("SANITYD_STATE")
        if not store_is_beside:
            return None
        return self._path.name if self._path.is_file() else "."

    def _defaults(self) -> Defaults:
        defaults = self._spec(Defaults, "defaults") or Defaults()
        self._check_channels(("defaults", "notify"), defaults.notify or [])
        return defaults

    def _alerts(self) -> Settings:
        alerts = self._spec(Settings, "alerts") or Settings()
        for owner, channels in alerts.owners.items():
            self._check_channels(("alerts", "owners", owner), channels)
        for tag, channels in alerts.tags.items():
            self._check_channels(("alerts", "tags", tag), channels)
        return alerts

    def _parse_rules(self, context: FileContext, allowed: AllowSpec) -> list[ParsedRule]:
        parsed_rules = []
        for name, raw in self._section("rules").items():
            for suffix, expanded in foreach.expand(raw):
                rule = RuleParser(context, str(name), suffix, expanded).parse()
                if isinstance(expanded, dict) and expanded.get("remedy") is not None:
                    rule = self._with_remedy(rule, expanded["remedy"], context, allowed)
                self._problems += rule.problems
                parsed_rules.append(rule)
        return parsed_rules

    def _with_remedy(
        self, rule: ParsedRule, raw: Any, context: FileContext, allowed: AllowSpec
    ) -> ParsedRule:
        """Return the rule with its remedy and the problems of that."""
        # Imported here, as few rules have one.
        from sanityd.rules.remedy_parser import RemedyParser

        parser = RemedyParser(
            self._document, self._connections, rule.name, runs_commands=allowed.commands
        )
        check = rule.draft.check if rule.draft is not None else None
        is_redacted = (rule.spec.redact or context.defaults.redact) == "hash"
        remedy = parser.parse(raw, rule.spec, check, redacted=is_redacted)
        return replace(rule, remedy=remedy, problems=(*rule.problems, *parser.problems))

    def _build_rules(
        self, parsed_rules: list[ParsedRule], defaults: Defaults, alerts: Settings
    ) -> dict[str, Rule]:
        """Return the rules without errors, by id."""
        builder = RuleBuilder(defaults, alerts)
        rules = {}
        for parsed in parsed_rules:
            draft = parsed.draft
            if draft is None or draft.check is None:
                continue
            redaction = self._redaction_keys.of_rule(
                parsed.name, parsed.spec, draft.check, defaults
            )
            if parsed.problems:
                continue
            location = self._document.location(("rules", parsed.name))
            rule = builder.build(draft, draft.check, parsed.spec, redaction, location)
            rules[parsed.id] = replace(rule, remedy=parsed.remedy)
        return rules

    def _check_dependencies(self, parsed_rules: list[ParsedRule]) -> None:
        names = {*_ids(parsed_rules), *self._connections.source_names}
        self._problems += references.unknown_dependencies(
            self._document, self._section("rules"), names
        )
        self._problems += references.wrong_renames(self._document, self._section("rules"))

    def _cases(
        self, parsed_rules: list[ParsedRule], rules: Mapping[str, Rule]
    ) -> dict[str, tuple[Case, ...]]:
        """Return the tests of the rules without errors; check those of all rules."""
        invariants = {}
        for parsed in parsed_rules:
            draft = parsed.draft
            if draft is not None and draft.is_exact and draft.invariant is not None:
                invariants[parsed.id] = draft.invariant
        reader = CaseReader(
            self._document, invariants, _ids(parsed_rules), zones(self._section("sources"))
        )
        cases = reader.read()
        self._problems += reader.problems
        return {rule: some for rule, some in cases.items() if rule in rules}

    def _check_has_rules(self) -> None:
        if self._section("rules") or self._problems:
            return
        if "rules" in self._document.data:
            path: KeyPath = ("rules",)
            advice = "write a first one below it"
        else:
            path = ()
            advice = "add `rules:` with a first one"
        self._problems.append(self._document.problem(path, "there are no rules", advice, key=True))

    def _all_problems(self) -> list[Problem]:
        """Return the problems of the YAML and of the rules, one kind per line of the file."""
        yaml_problems = self._document.problems
        yaml_lines = {(problem.path, problem.line) for problem in yaml_problems}
        reader_problems = (
            *self._problems,
            *self._connections.problems,
            *self._redaction_keys.problems,
        )
        others = [
            problem for problem in reader_problems if (problem.path, problem.line) not in yaml_lines
        ]
        return [*yaml_problems, *others]

    def _section(self, name: str) -> dict[str, Any]:
        """Return a section, empty when it is missing or, which is reported, not a mapping."""
        value = self._document.data.get(name)
        if value is None:
            return {}
        if isinstance(value, dict):
            return value
        problem = self._document.problem(
            (name,), f"`{name}` must be a mapping", "write one key per line below it"
        )
        if problem not in self._problems:
            self._problems.append(problem)
        return {}

    def _spec(self, model: type[SpecT], section: str) -> SpecT | None:
        """Return a section as its model; None, which is reported, when it is not valid."""
        raw = self._section(section)
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            self._problems += validation_errors.problems(
                self._document, (section,), error, model, f"`{section}`"
            )
            return None

    def _check_channels(self, path: KeyPath, names: list[str]) -> None:
        self._problems += references.unknown_channels(
            self._document, path, names, self._connections.channel_names
        )


def _ids(parsed_rules: list[ParsedRule]) -> set[str]:
    """Return the ids of all rules, as they stand in the file and as `for_each` expands them."""
    ids = {rule.id for rule in parsed_rules}
    return ids | {rule.name for rule in parsed_rules}
