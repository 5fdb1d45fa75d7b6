"""The `tests:` of a rules file → cases. Knows nothing of how cases are run."""

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from sanityd.checks.invariant import Invariant, TableName
from sanityd.errors import Problem
from sanityd.model import Measurements
from sanityd.model.did_you_mean import did_you_mean
from sanityd.model.option_types import Zone
from sanityd.rules import time_values, validation_errors
from sanityd.rules.cases import Case, CaseSpec
from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document

#: The present of a case that has no `now`: no test depends on the day on which it is run.
NOON = datetime(2026, 1, 1, 12, 0)  # noqa: DTZ001 (in the zone of the rule's source)


def zones(sources: Any) -> dict[str, ZoneInfo]:
    """Return the time zone of each source, read from the section `sources` of the file.

    No environment variable need be set, so tests run without.
    """
    adapter: TypeAdapter[ZoneInfo] = TypeAdapter(Zone, config={"arbitrary_types_allowed": True})
    zone_by_source: dict[str, ZoneInfo] = {}
    if not isinstance(sources, dict):
        return zone_by_source
    for name, raw in sources.items():
        zone = raw.get("zone", "UTC") if isinstance(raw, dict) else "UTC"
        try:
            zone_by_source[str(name)] = adapter.validate_python(zone)
        except ValidationError:
            zone_by_source[str(name)] = ZoneInfo("UTC")
    return zone_by_source


class CaseReader:
    """Reads a `tests:` section. `problems` fills on the way.

    Parameters: `document` holds the section; `invariants` are those of the rules that could be
    read, by id; `rule_ids` are the ids of all rules of the file; `sources` are the names of its
    sources with their zones.
    """

    def __init__(
        self,
        document: Document,
        invariants: Mapping[str, Invariant],
        rule_ids: Collection[str],
        sources: Mapping[str, ZoneInfo],
    ) -> None:
        self.document = document
        self.invariants = invariants
        self.rule_ids = rule_ids
        self.sources = sources
        self.problems: list[Problem] = []

    def read(self) -> dict[str, tuple[Case, ...]]:
        """Return the cases of each rule, in the order of the file."""
        section = self.document.data.get("tests")
        if section is None:
            return {}
        if not isinstance(section, dict):
            advice = "write the id of a rule and below it its examples"
            self._report(("tests",), "`tests` must be a mapping", advice)
            return {}
        return {str(name): tuple(self._cases(str(name), raw)) for name, raw in section.items()}

    def _cases(self, name: str, raw: Any) -> Iterator[Case]:
        """Yield the cases of one rule."""
        path: KeyPath = ("tests", name)
        self._check_rule(path, name)
        examples = self._examples(path, raw)
        if not examples:
            message = f"rule `{name}` has no example"
            self._report(path, message, "write one, or take this out")
        for number, (example_path, example) in enumerate(examples, 1):
            number_text = str(number) if len(examples) > 1 else ""
            case = self._case(name, example_path, example, number_text)
            if case is not None:
                yield case

    def _examples(self, path: KeyPath, raw: Any) -> list[tuple[KeyPath, Any]]:
        """Return the examples of a rule with their paths: one, or those of a list."""
        if not isinstance(raw, list):
            return [(path, raw)]
        return [((*path, index), example) for index, example in enumerate(raw)]

    def _case(self, name: str, path: KeyPath, raw: Any, number: str) -> Case | None:
        """Return the case of one example; None when it has an error, which is reported.

        Parameters: `number` is the title of an example without a name.
        """
        spec = self._spec(path, name, raw)
        invariant = self.invariants.get(name)
        if invariant is None or not isinstance(raw, dict):
            return None
        title = str(raw.get("name") or "") or number
        parser = _CaseParser(self.document, self.sources, invariant, path, raw)
        case = parser.case(spec, title)
        self.problems += parser.problems
        return None if parser.problems else case

    def _check_rule(self, path: KeyPath, name: str) -> None:
        """Report an id of no rule, or of several."""
        if name not in self.rule_ids:
            advice = did_you_mean(name, self.rule_ids) or "name a rule of the rules file"
            self._report(path, f"there is no rule `{name}`", advice, key=True)
            return
        if name in self.invariants:
            return
        expanded = [rule for rule in self.invariants if rule.startswith(f"{name}[")]
        if expanded:
            message = f"`for_each` makes rule `{name}` {len(expanded)} rules"
            self._report(path, message, f"name one of them, as in `{expanded[0]}`", key=True)

    def _spec(self, path: KeyPath, name: str, raw: Any) -> CaseSpec | None:
        if not isinstance(raw, dict):
            advice = "write `given:` and `violates:` below it"
            self._report(path, "an example must be a mapping", advice)
            return None
        try:
            return CaseSpec.model_validate(raw)
        except ValidationError as error:
            self.problems += validation_errors.problems(
                self.document, path, error, CaseSpec, f"the test of `{name}`"
            )
            return None

    def _report(self, path: KeyPath, message: str, advice: str, *, key: bool = False) -> None:
        self.problems.append(self.document.problem(path, message, advice, key=key))


class _CaseParser:
    """Parses one example of one rule. `problems` fills on the way.

    Tables and times are read from `raw`, the example as it stands in the file, so that an error in
    another key does not hide those in them.
    """

    def __init__(
        self,
        document: Document,
        sources: Mapping[str, ZoneInfo],
        invariant: Invariant,
        path: KeyPath,
        raw: Mapping[str, Any],
    ) -> None:
        self.problems: list[Problem] = []
        self._document = document
        self._sources = sources
        self._invariant = invariant
        self._path = path
        self._raw = raw

    def case(self, spec: CaseSpec | None, name: str) -> Case | None:
        """Return the case; None without a valid spec."""
        now = self._now()
        tables = {text: self._table("given", text) for text in _keys(self._raw.get("given"))}
        for text in _keys(self._raw.get("types")):
            self._table("types", text)
        self._check_doubles(tables)
        past = self._past(spec.past if spec is not None else None, now)
        if spec is None:
            return None
        mark = self._document.mark(self._path, key=True)
        names = {table: text for text, table in tables.items() if table is not None}
        own_source = self._invariant.subject.source
        return Case(
            rule=self._invariant.id,
            name=name,
            path=self._path,
            location=f"{mark.path.name}:{mark.line}",
            file=str(mark.path),
            line=mark.line,
            now=now,
            given={table: spec.given[text] for table, text in names.items()},
            named=names,
            violates=spec.violates,
            types={
                TableName.parse(text, self._sources, own_source): columns
                for text, columns in spec.types.items()
            },
            past=past,
            measured=None if spec.measured is None else float(spec.measured),
        )

    def _now(self) -> datetime:
        """Return the present of the example, in the zone of the rule's source."""
        text = self._raw.get("now")
        default = NOON.replace(tzinfo=self._sources.get(self._invariant.subject.source, UTC))
        if not isinstance(text, str):
            return default
        try:
            if time_values.is_stamp(text):
                return time_values.parse_time(text, default)
        except ValueError:
            pass
        advice = "write it in full, as in `2026-01-01 12:00`"
        self._report((*self._path, "now"), f"`{text}` is no time", advice)
        return default

    def _past(self, raw: Any, now: datetime) -> Measurements:
        """Return the earlier measurements, each with its time."""
        path = (*self._path, "past")
        if raw is None:
            return ()
        check = self._invariant.check
        if not check.learns:
            message = f"`past` has no meaning for `{self._invariant.kind}`"
            self._report(path, message, "take it out", key=True)
            return ()
        if isinstance(raw, list):
            # One a day, until yesterday.
            return [
                (now - timedelta(days=len(raw) - index), float(value))
                for index, value in enumerate(raw)
            ]
        measurements = []
        for text, value in raw.items():
            try:
                measurements.append((time_values.parse_time(text, now), float(value)))
            except ValueError:
                advice = time_values.ADVICE
                self._report((*path, text), f"`{text}` is no time", advice, key=True)
        return sorted(measurements)

    def _table(self, key: str, text: str) -> TableName | None:
        """Return the table of a name; None, which is reported, if the rule does not read it."""
        path = (*self._path, key, text)
        source = self._invariant.subject.source
        try:
            table = TableName.parse(text, self._sources, source)
        except ValueError as error:
            advice = f"write `source.table`, as in `{source}.people`"
            self._report(path, str(error), advice, key=True)
            return None
        rule_tables = tables_of(self._invariant)
        if table in rule_tables or is_mentioned(self._invariant, table):
            return table
        advice = did_you_mean(text, map(str, rule_tables))
        if not advice and rule_tables:
            advice = f"it uses {', '.join(f'`{name}`' for name in rule_tables)}"
        message = f"rule `{self._invariant.id}` does not use `{text}`"
        self._report(path, message, advice or "its SQL names none such", key=True)
        return None

    def _check_doubles(self, tables: Mapping[str, TableName | None]) -> None:
        """Report tables that are given twice, by two names."""
        earlier: set[TableName] = set()
        for text, table in tables.items():
            if table is None:
                continue
            if table in earlier:
                message = f"`{text}` is given twice, the second time by another name"
                path = (*self._path, "given", text)
                self._report(path, message, "keep one of them", key=True)
            earlier.add(table)

    def _report(self, path: KeyPath, message: str, advice: str, *, key: bool = False) -> None:
        self.problems.append(self._document.problem(path, message, advice, key=key))


def _keys(value: Any) -> list[str]:
    if not isinstance(value, dict):
        return []
    return [str(key) for key in value]


def tables_of(invariant: Invariant) -> list[TableName]:
    """Return the tables that a rule names outside of SQL, its own first."""
    subject = invariant.subject
    tables = []
    if subject.table is not None:
        tables.append(subject.table)
    tables += [
        TableName.parse(text, subject.sources, subject.source) for text in invariant.check.tables()
    ]
    return list(dict.fromkeys(tables))


def sql_of(invariant: Invariant) -> list[str]:
    """Return all SQL of the user's in a rule."""
    check = invariant.check
    texts = [invariant.subject.where, *check.sql(), check.query_sql()]
    other_table = check.query_elsewhere()
    if other_table is not None:
        texts.append(other_table.query)
    return [text for text in texts if text]


def is_mentioned(invariant: Invariant, table: TableName) -> bool:
    """Whether the rule's SQL, or code that nobody can look into, may read a table."""
    sql = sql_of(invariant)
    if not sql and not tables_of(invariant):
        return True
    word = re.compile(rf"(?<!\w){re.escape(table.name)}(?!\w)", re.IGNORECASE)
    return any(word.search(text) for text in sql)
