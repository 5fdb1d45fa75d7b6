"""`evidence` of a rule: named SELECTs that are run for each new violation. Checks them offline."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from sanityd.checks.base import Check
from sanityd.checks.invariant import Subject
from sanityd.errors import Problem
from sanityd.model.did_you_mean import did_you_mean
from sanityd.rules import references
from sanityd.rules.connections import Connections
from sanityd.rules.diagnostics import as_advice
from sanityd.rules.spec import EvidenceSpec, RuleSpec
from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document
from sanityd.sources.sql_gate import GateRefusal
from sanityd.sources.sql_parameters import Parameter, columns_of, gate_lookup, parameters_of

#: The parameter that stands for the only column of a key.
KEY = "key"
#: In `show`: evidence of all names is mailed.
ALL = "evidence"
_NAME = re.compile(r"[a-z][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class EvidenceQuery:
    """One query of `evidence`."""

    name: str
    source: str
    sql: str
    #: The columns that it names itself, and all whose values may be stored.
    own_show: tuple[str, ...]
    show: tuple[str, ...]
    rows: int
    timeout: timedelta
    #: The names of its parameters, without colons, each once.
    parameters: tuple[str, ...]
    #: Whether mails contain what it finds.
    mailed: bool = False


def shown_columns(spec: RuleSpec) -> tuple[str, ...]:
    """Return the columns in the rule's `show`, without the names of evidence."""
    if not spec.evidence:
        return tuple(spec.show or ())
    return tuple(name for name in spec.show or () if name != ALL and name not in spec.evidence)


def unknown_parameter(name: str, key: Collection[str]) -> tuple[str, str] | None:
    """Return what is wrong with a parameter, and what to do; None for a right one.

    Parameters: `key` are the columns that identify a violation.
    """
    if name in key or (name == KEY and len(key) == 1):
        return None
    if not key:
        return (
            f"`:{name}` has no value: violations of this rule have no key",
            "write a SELECT without parameters",
        )
    listed = ", ".join(f"`:{column}`" for column in key)
    if name == KEY:
        message = f"`:{KEY}` stands for one column, and the rule's key has {len(key)}"
        return message, f"write {listed}"
    return f"the rule's key has no column `{name}`", did_you_mean(name, key) or f"write {listed}"


class EvidenceParser:
    """Parses `evidence` of one rule. Collects every problem on the way.

    Parameters: `rule_path` is where the rule stands.
    """

    def __init__(self, document: Document, rule_path: KeyPath, connections: Connections) -> None:
        self.problems: list[Problem] = []
        self._document = document
        self._path: KeyPath = (*rule_path, "evidence")
        self._connections = connections

    def parse(
        self, spec: RuleSpec, subject: Subject, check: Check | None
    ) -> tuple[EvidenceQuery, ...]:
        """Return the valid queries, in the order of the file."""
        queries = []
        key = _known_key(spec, check)
        for name, evidence in (spec.evidence or {}).items():
            problems_before = len(self.problems)
            query = self._query(name, evidence, spec, subject)
            self._check_sql(query, key)
            if len(self.problems) == problems_before:
                queries.append(query)
        return tuple(queries)

    def _query(
        self, name: str, evidence: EvidenceSpec, spec: RuleSpec, subject: Subject
    ) -> EvidenceQuery:
        path = (*self._path, name)
        if not _NAME.fullmatch(name) or name == ALL:
            message = f"`{name}` is not a name for evidence"
            advice = "write a word of small letters, as in `changes`"
            self.problems.append(self._document.problem(path, message, advice, key=True))
        source = evidence.source or subject.source
        if source not in self._connections.source_names:
            problem = references.unknown_source(
                self._document, (*path, "source"), source, self._connections.source_names
            )
            self.problems.append(problem)
        own_show = tuple(evidence.show or ())
        parameters = parameters_of(evidence.query, self._dialect(source))
        shown = spec.show or ()
        return EvidenceQuery(
            name=name,
            source=source,
            sql=evidence.query,
            own_show=own_show,
            show=tuple(dict.fromkeys((*own_show, *shown_columns(spec)))),
            rows=evidence.rows,
            timeout=evidence.timeout,
            parameters=tuple(dict.fromkeys(parameter.name for parameter in parameters)),
            mailed=ALL in shown or name in shown,
        )

    def _check_sql(self, query: EvidenceQuery, key: Collection[str] | None) -> None:
        """Report SQL that the gate refuses, else unknown parameters and columns."""
        dialect = self._dialect(query.source)
        path = (*self._path, query.name)
        sql_path = self._document.find(path, query.sql) or path
        try:
            gate_lookup(query.sql, dialect, query.rows)
        except GateRefusal as refusal:
            problem = self._document.problem(
                sql_path,
                refusal.message,
                as_advice(refusal.advice),
                at=(refusal.line, refusal.column),
                length=refusal.length,
            )
            self.problems.append(problem)
            return
        if key is not None:
            for parameter in parameters_of(query.sql, dialect):
                self._check_parameter(sql_path, query.sql, parameter, key)
        columns = columns_of(query.sql, dialect)
        if columns is not None:
            self.problems += unknown_columns(self._document, path, query.own_show, columns)

    def _check_parameter(
        self, path: KeyPath, sql: str, parameter: Parameter, key: Collection[str]
    ) -> None:
        fault = unknown_parameter(parameter.name, key)
        if fault is not None:
            self.problems.append(parameter_problem(self._document, path, sql, parameter, fault))

    def _dialect(self, source: str) -> str:
        return self._connections.dialect(source) or ""


def parameter_problem(
    document: Document, path: KeyPath, sql: str, parameter: Parameter, fault: tuple[str, str]
) -> Problem:
    """Return the problem of a parameter, at its place in the SQL that stands at a path."""
    line = sql.count("\n", 0, parameter.start) + 1
    column = parameter.start - sql.rfind("\n", 0, parameter.start)
    length = parameter.end - parameter.start
    return document.problem(path, fault[0], fault[1], at=(line, column), length=length)


def unknown_columns(
    document: Document, path: KeyPath, names: Iterable[str], columns: Collection[str]
) -> list[Problem]:
    """Return a problem for each name in `show` of evidence that its SELECT does not return.

    Parameters: `path` is that of the evidence; `columns` are those that the SELECT returns.
    """
    problems = []
    returned = {column.casefold() for column in columns}
    for name in names:
        if name.casefold() in returned:
            continue
        advice = did_you_mean(name, columns) or f"it returns {', '.join(columns)}"
        name_path = document.find((*path, "show"), name) or path
        message = f"the query returns no column `{name}`"
        problems.append(document.problem(name_path, message, advice))
    return problems


def _known_key(spec: RuleSpec, check: Check | None) -> tuple[str, ...] | None:
    """Return the columns of the rule's key; None where only the database knows them."""
    if check is None:
        return None
    if not check.quotes_rows:
        return ()
    names_rows = check.form == "row" or check.query_sql() is not None
    return tuple(spec.key) if spec.key and names_rows else None
