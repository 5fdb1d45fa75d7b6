"""One rule of a rules file → its typed spec, and its draft. Collects every problem on the way."""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from sanityd import plugins
from sanityd.checks.base import Check
from sanityd.checks.invariant import Scan, Subject, TableName
from sanityd.errors import Problem
from sanityd.rules import misplaced_keys, recovery, references, validation_errors
from sanityd.rules.compatibility import CompatibilityCheck
from sanityd.rules.connections import Connections
from sanityd.rules.draft import RuleDraft
from sanityd.rules.evidence import EvidenceParser, shown_columns
from sanityd.rules.remedy_spec import Remedy
from sanityd.rules.select_check import CheckKey, select_check
from sanityd.rules.spec import Defaults, RuleSpec
from sanityd.rules.user_sql import SqlGate
from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document, texts

ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class FileContext:
    """What all rules of a file share."""

    document: Document
    #: Read already, so that the names and dialects of the sources are known.
    connections: Connections
    defaults: Defaults
    #: All check kinds.
    kinds: Collection[str]
    #: Whether the file allows Python functions.
    runs_python: bool


@dataclass(frozen=True, slots=True)
class ParsedRule:
    """One rule, parsed: its spec without its check, and its draft with the check."""

    id: str
    #: The key of the rule in the file.
    name: str
    spec: RuleSpec
    #: None when it is not known what the rule is about.
    draft: RuleDraft | None
    problems: tuple[Problem, ...] = ()
    remedy: Remedy | None = None


@dataclass(frozen=True, slots=True)
class _Options:
    """The options of a check, read."""

    check: Check | None
    #: Whether the check says what the file says.
    is_exact: bool


class RuleParser:
    """Parses one rule.

    Parameters: `name` is its key in the file, `suffix` what `for_each` adds to it, `raw` its data.
    """

    def __init__(self, context: FileContext, name: str, suffix: str, raw: Any) -> None:
        self._context = context
        self._document = context.document
        self._name = name
        self._id = name + suffix
        self._raw = raw
        self._path: KeyPath = ("rules", name)
        self._source_names = context.connections.source_names
        self._problems: list[Problem] = []
        #: Problems of the tables, sources and SQL that the rule names.
        self._data_problems: list[Problem] = []

    def parse(self) -> ParsedRule:
        """Return the rule with all its problems."""
        if not self._is_rule():
            return ParsedRule(self._id, self._name, RuleSpec(), None, tuple(self._problems))
        check_key = self._check_key()
        spec, age_columns = self._spec()
        notify = [text for _, text in texts(self._raw.get("notify"))]
        self._problems += references.unknown_channels(
            self._document,
            (*self._path, "notify"),
            notify,
            self._context.connections.channel_names,
        )
        options = _Options(None, is_exact=False)
        if check_key is not None:
            options = self._options(check_key)
        draft = self._draft(spec, check_key, options, age_columns)
        if draft is not None and spec.evidence:
            evidence = EvidenceParser(self._document, self._path, self._context.connections)
            queries = evidence.parse(spec, draft.subject, draft.check)
            draft = replace(draft, evidence=queries)
            self._data_problems += evidence.problems
        problems = (*self._problems, *self._data_problems)
        return ParsedRule(self._id, self._name, spec, draft, problems)

    def _is_rule(self) -> bool:
        """Whether there is a mapping with the keys of a rule."""
        misindented = misplaced_keys.misindented(self._document, self._name)
        if misindented is not None:
            self._problems.append(misindented)
            return False
        if not ID.fullmatch(self._name):
            kebab_case = re.sub("[^a-z0-9]+", "-", self._name.lower()).strip("-") or "my-rule"
            self._report(
                self._path,
                f"`{self._name}` is not an id",
                f"write it in kebab-case: `{kebab_case}`",
                key=True,
            )
        if isinstance(self._raw, dict):
            return True
        advice = "write its keys below it, indented"
        if self._raw is None:
            self._report(self._path, f"rule `{self._name}` is empty", advice, key=True)
        else:
            self._report(self._path, f"rule `{self._name}` must be a mapping", advice)
        return False

    def _check_key(self) -> CheckKey | None:
        selected = select_check(self._document, self._name, self._raw, self._context.kinds)
        if isinstance(selected, Problem):
            self._problems.append(selected)
            return None
        return selected

    def _spec(self) -> tuple[RuleSpec, tuple[str, ...]]:
        """Return the valid keys besides the check, and the columns that invalid ages name."""
        self._problems += validation_errors.empty_keys(
            self._document, self._path, self._raw, misplaced_keys.rule_keys()
        )
        values = self._values_besides_check()
        try:
            return RuleSpec.model_validate(values), ()
        except ValidationError as error:
            self._problems += validation_errors.problems(
                self._document,
                self._path,
                error,
                RuleSpec,
                f"rule `{self._name}`",
                self._context.kinds,
            )
            details = error.errors(include_url=False)
            invalid_keys = {item["loc"][0] for item in details if item["loc"]}
        valid = {key: value for key, value in values.items() if key not in invalid_keys}
        if "evidence" in invalid_keys:
            valid["evidence"] = recovery.valid_evidence(values["evidence"])
        return RuleSpec.model_validate(valid), recovery.age_columns(values, invalid_keys)

    def _values_besides_check(self) -> dict[str, Any]:
        """Return what the rule says besides its check and its remedy."""
        apart = {*self._context.kinds, "remedy"}
        given = {key: value for key, value in self._raw.items() if value is not None}
        return {key: value for key, value in given.items() if key not in apart}

    def _options(self, check_key: CheckKey) -> _Options:
        """Return the check, or as much of it as is valid."""
        is_exact = check_key.key == check_key.kind
        options = self._raw[check_key.key]
        model: type[Check] = plugins.load_kind("checks", check_key.kind)
        try:
            return _Options(model.model_validate(options), is_exact)
        except ValidationError as error:
            self._problems += validation_errors.problems(
                self._document,
                (*self._path, check_key.key),
                error,
                model,
                f"`{check_key.kind}` of rule `{self._name}`",
            )
            without_unknown = recovery.known_options(options, error)
            corrected = recovery.corrected_options(options, error, model)
        for reading in (corrected, without_unknown):
            try:
                check = model.model_validate(reading)
            except ValidationError:
                continue
            # Keys that no option has take nothing away from what the check says.
            return _Options(check, is_exact and reading == without_unknown)
        return _Options(None, is_exact=False)

    def _draft(
        self,
        spec: RuleSpec,
        check_key: CheckKey | None,
        options: _Options,
        age_columns: tuple[str, ...],
    ) -> RuleDraft | None:
        """Return what a database can be asked about; None without a source or a table."""
        subject = self._subject(spec, options.check)
        if subject is None:
            return None
        subject = self._without_refused_where(subject)
        check = self._askable(options.check, subject)
        if check is None and subject.table is None:
            return None
        if options.check is not None and not _is_about_rows(options.check):
            age_columns = ()
        return RuleDraft(
            id=self._id,
            name=self._name,
            kind="" if check_key is None else check_key.key,
            subject=subject,
            check=check,
            scan=spec.scan or Scan(),
            columns=age_columns,
            is_exact=check is not None and options.is_exact and not self._data_problems,
        )

    def _subject(self, spec: RuleSpec, check: Check | None) -> Subject | None:
        """Return which rows the rule is about; None when the source or the table is not known."""
        # Read from the file itself: an error in another key must not hide a wrong table.
        table = self._table(self._raw.get("table"))
        if check is not None:
            self._data_problems += self._incompatible_keys(spec, check)
        source = self._source(spec, check, table)
        if source is None:
            return None
        when_empty = spec.when_empty or self._context.defaults.when_empty
        subject = Subject(
            source=source,
            table=table,
            sources=frozenset(self._source_names),
            where=spec.where,
            within=spec.within,
            window=spec.window,
            key=tuple(spec.key or ()),
            show=shown_columns(spec),
            nulls_fail=self._nulls_fail(spec, check),
            empty_fails=None if when_empty is None else when_empty == "fail",
        )
        return subject if check is None else _without_meaningless(subject, check)

    def _nulls_fail(self, spec: RuleSpec, check: Check | None) -> bool:
        nulls = spec.nulls or self._context.defaults.nulls
        return nulls == "fail" and check is not None and check.judges_nulls

    def _table(self, text: Any) -> TableName | None:
        if not isinstance(text, str):
            return None
        return self._parse_table((*self._path, "table"), text)

    def _incompatible_keys(self, spec: RuleSpec, check: Check) -> list[Problem]:
        """Return the problems of keys that the check needs, or can't have."""
        # What seems to be missing may be there, misspelt or in the wrong place.
        has_invalid_key = any(
            key in self._raw and getattr(spec, key) is None for key in ("table", "source", "key")
        )
        has_only_known_keys = self._raw.keys() <= misplaced_keys.rule_keys()
        compatibility = CompatibilityCheck(
            self._document,
            self._name,
            self._source_names,
            self._context.runs_python,
            reports_missing=(
                has_only_known_keys and not has_invalid_key and not self._document.problems
            ),
        )
        return list(compatibility.problems(spec, self._raw, check, self._context.defaults))

    def _source(self, spec: RuleSpec, check: Check | None, table: TableName | None) -> str | None:
        """Return the name of the rule's source; None when it names none, or none that exists."""
        if check is not None and check.reads_table and table is None:
            return None
        source = table.source if table is not None else spec.source
        if source is None:
            return self._only_source(check)
        if spec.source is not None and source not in self._source_names:
            self._report_unknown_source((*self._path, "source"), spec.source)
            return None
        return source

    def _only_source(self, check: Check | None) -> str | None:
        """Return the only source of the file, for a check that reads no table; None for others."""
        reads_table = check is None or check.reads_table
        if reads_table or len(self._source_names) != 1:
            return None
        return next(iter(self._source_names))

    def _without_refused_where(self, subject: Subject) -> Subject:
        """Return the subject without a condition that the SQL gate refuses."""
        where = self._raw.get("where")
        if not isinstance(where, str):
            return subject
        dialect = self._context.connections.dialect(subject.source)
        problems = SqlGate(self._document, self._path, dialect).problems_of_where(where)
        self._data_problems += problems
        return replace(subject, where=None) if problems else subject

    def _askable(self, check: Check | None, subject: Subject) -> Check | None:
        """Return the check if it may be shown to the databases that it names; else None."""
        if check is None:
            return None
        refused = self._refused_sql(check, subject)
        all_tables_known = self._check_other_tables(check, subject)
        has_source = self._check_other_source(check)
        runs = self._context.runs_python or not check.runs_code
        can_be_asked = not refused and all_tables_known and has_source and runs
        return check if can_be_asked else None

    def _refused_sql(self, check: Check, subject: Subject) -> list[Problem]:
        connections = self._context.connections
        gate = SqlGate(
            self._document,
            self._path,
            connections.dialect(subject.source),
            connections.dialect(self._other_source(check, subject.source)),
        )
        problems = gate.problems_of_check(check)
        self._data_problems += problems
        return problems

    def _other_source(self, check: Check, own_source: str) -> str:
        """Return the first source that the check's options name; else the rule's own."""
        query = check.query_elsewhere()
        if query is not None:
            names = [str(query.source)]
        else:
            names = [text.split(".", maxsplit=1)[0] for text in check.tables()]
        for name in names:
            if name in self._source_names:
                return name
        return own_source

    def _check_other_tables(self, check: Check, subject: Subject) -> bool:
        """Report tables in the check's options that can't be read. Returns whether all can."""
        tables = []
        for text in check.tables():
            text_path = self._document.find(self._path, text) or self._path
            tables.append(self._parse_table(text_path, text, subject.source))
        other_sources = [
            table for table in tables if table is not None and table.source != subject.source
        ]
        if len(tables) > 1 and other_sources:
            message = f"`{check.kind}` of several tables can't be compared with another source"
            problem = self._document.problem(
                (*self._path, check.kind), message, "make one rule of each", key=True
            )
            self._data_problems.append(problem)
            return False
        return None not in tables

    def _check_other_source(self, check: Check) -> bool:
        """Report a query of the check whose source does not exist. Returns whether all is well."""
        query = check.query_elsewhere()
        if query is None or str(query.source) in self._source_names:
            return True
        check_path = (*self._path, check.kind)
        source_path = self._document.find(check_path, str(query.source)) or check_path
        self._report_unknown_source(source_path, str(query.source))
        return False

    def _parse_table(
        self, path: KeyPath, text: str, default_source: str | None = None
    ) -> TableName | None:
        table = references.parse_table(
            self._document, path, text, self._source_names, default_source
        )
        if isinstance(table, Problem):
            self._data_problems.append(table)
            return None
        return table

    def _report_unknown_source(self, path: KeyPath, name: str) -> None:
        self._data_problems.append(
            references.unknown_source(self._document, path, name, self._source_names)
        )

    def _report(self, path: KeyPath, message: str, advice: str, *, key: bool = False) -> None:
        self._problems.append(self._document.problem(path, message, advice, key=key))


def _is_about_rows(check: Check) -> bool:
    return check.reads_table and check.about_rows


def _without_meaningless(subject: Subject, check: Check) -> Subject:
    """Return the subject without what has no meaning for the check, which is reported elsewhere."""
    if not check.reads_table:
        subject = replace(subject, table=None)
    if not _is_about_rows(check):
        within = subject.within if check.takes_age_of_query else None
        subject = replace(subject, where=None, within=within, window=None)
    if check.brings_own_key:
        # Its rows are identified by the columns that it compares by.
        subject = replace(subject, key=())
    return subject
