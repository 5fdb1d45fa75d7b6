"""The `tests:` of a rules file → cases. Every mistake at its place. Knows nothing of how a case is played."""

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from sanityd.checks.invariant import TableName
from sanityd.errors import Problem
from sanityd.model import Past
from sanityd.model.did_you_mean import did_you_mean
from sanityd.model.option_types import Zone
from sanityd.rules import time_values, validation_errors
from sanityd.rules.cases import Case, CaseSpec
from sanityd.rules.rule import Rule
from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document

#: The present of a case that doesn't say: no test depends on the day on which it is run.
NOON = datetime(2026, 1, 1, 12, 0)


def zones(sources: Any) -> dict[str, ZoneInfo]:
    """The zone of each source, read off the file itself: no environment variable need be set for a test."""
    reader: TypeAdapter[ZoneInfo] = TypeAdapter(Zone, config={"arbitrary_types_allowed": True})
    found: dict[str, ZoneInfo] = {}
    for name, raw in sources.items() if isinstance(sources, dict) else ():
        try:
            found[str(name)] = reader.validate_python(
                raw.get("zone", "UTC") if isinstance(raw, dict) else "UTC"
            )
        except ValidationError:
            found[str(name)] = ZoneInfo("UTC")
    return found


class CaseReader:
    """Reads a `tests:` section. `problems` fills on the way.

    Parameters: `document` holds the section; `rules` are those that could be read, `known` the ids of all that the file
    has; `sources` are the names of its sources with their zones.
    """

    def __init__(
        self,
        document: Document,
        rules: Mapping[str, Rule],
        known: Collection[str],
        sources: Mapping[str, ZoneInfo],
    ) -> None:
        self.document = document
        self.rules = rules
        self.known = known
        self.sources = sources
        self.problems: list[Problem] = []

    def read(self) -> dict[str, tuple[Case, ...]]:
        """The cases of each rule, in the order of the file."""
        section = self.document.data.get("tests")
        if section is None:
            return {}
        if not isinstance(section, dict):
            self._say(
                ("tests",),
                "`tests` must be a mapping",
                "write the id of a rule and below it its examples",
            )
            return {}
        return {str(name): tuple(self._of_rule(str(name), raw)) for name, raw in section.items()}

    def _of_rule(self, name: str, raw: Any) -> Iterator[Case]:
        place: KeyPath = ("tests", name)
        if name not in self.known:
            advice = did_you_mean(name, self.known) or "name a rule of the rules file"
            self._say(place, f"there is no rule `{name}`", advice, key=True)
        elif name not in self.rules and (
            many := [one for one in self.rules if one.startswith(f"{name}[")]
        ):
            message = f"`for_each` makes rule `{name}` {len(many)} rules"
            self._say(place, message, f"name one of them, as in `{many[0]}`", key=True)
        examples = (
            [((*place, number), one) for number, one in enumerate(raw)]
            if isinstance(raw, list)
            else [(place, raw)]
        )
        if not examples:
            self._say(place, f"rule `{name}` has no example", "write one, or take this out")
        for number, (at, one) in enumerate(examples, 1):
            rule, before = self.rules.get(name), len(self.problems)
            spec = self._spec(at, name, one)
            if rule is not None and isinstance(one, dict):
                label = str(one.get("name") or (number if len(examples) > 1 else ""))
                case = self._case(at, rule, one, spec, label)
                if case is not None and len(self.problems) == before:
                    yield case

    def _spec(self, place: KeyPath, name: str, raw: Any) -> CaseSpec | None:
        if not isinstance(raw, dict):
            self._say(
                place, "an example must be a mapping", "write `given:` and `violates:` below it"
            )
            return None
        try:
            return CaseSpec.model_validate(raw)
        except ValidationError as error:
            self.problems += validation_errors.problems(
                self.document, place, error, CaseSpec, f"the test of `{name}`"
            )
            return None

    def _case(
        self, place: KeyPath, rule: Rule, raw: Mapping[str, Any], spec: CaseSpec | None, name: str
    ) -> Case | None:
        # Read off the file itself, so that a mistake in another key hides neither a wrong table nor a wrong time.
        now = self._now((*place, "now"), rule, raw.get("now"))
        tables = {
            text: self._table((*place, "given"), text, rule) for text in _keys(raw.get("given"))
        }
        for text in _keys(raw.get("types")):
            self._table((*place, "types"), text, rule)
        meant = list(tables.values())
        for number, (text, table) in enumerate(tables.items()):
            if table is not None and table in meant[:number]:
                message = f"`{text}` stands here for the second time, by another name"
                self._say((*place, "given", text), message, "keep one of them", key=True)
        past = self._past((*place, "past"), rule, spec.past if spec else None, now)
        if spec is None:
            return None
        mark = self.document.mark(place, key=True)
        names = {table: text for text, table in tables.items() if table is not None}
        own = rule.source
        return Case(
            rule=rule.id,
            name=name,
            place=place,
            location=f"{mark.path.name}:{mark.line}",
            file=str(mark.path),
            line=mark.line,
            now=now,
            given={table: spec.given[text] for table, text in names.items()},
            named=names,
            violates=spec.violates,
            types={
                TableName.parse(text, self.sources, own): columns
                for text, columns in spec.types.items()
            },
            past=past,
            measured=None if spec.measured is None else float(spec.measured),
        )

    def _now(self, place: KeyPath, rule: Rule, text: Any) -> datetime:
        present = NOON.replace(tzinfo=self.sources.get(rule.source, UTC))
        if not isinstance(text, str):
            return present
        try:
            if not time_values.is_stamp(text):
                raise ValueError(text)
            return time_values.moment(text, present)
        except ValueError:
            self._say(place, f"`{text}` is no time", "write it in full, as in `2026-01-01 12:00`")
            return present

    def _past(self, place: KeyPath, rule: Rule, raw: Any, now: datetime) -> Past:
        if raw is None:
            return ()
        if not rule.learns:
            self._say(
                place, f"`past` has no meaning for `{rule.invariant.kind}`", "take it out", key=True
            )
            return ()
        if isinstance(raw, list):
            return [
                (now - timedelta(days=len(raw) - at), float(value)) for at, value in enumerate(raw)
            ]
        found = []
        for text, value in raw.items():
            try:
                found.append((time_values.moment(text, now), float(value)))
            except ValueError:
                self._say((*place, text), f"`{text}` is no time", time_values.ADVICE, key=True)
        return sorted(found)

    def _table(self, place: KeyPath, text: str, rule: Rule) -> TableName | None:
        """The table that is meant, if the rule looks at it."""
        ours = tables_of(rule)
        try:
            table = TableName.parse(text, self.sources, rule.source)
        except ValueError as error:
            self._say(
                (*place, text),
                str(error),
                f"write `source.table`, as in `{rule.source}.people`",
                key=True,
            )
            return None
        if table in ours or is_mentioned(rule, table):
            return table
        near = did_you_mean(text, map(str, ours))
        advice = near or (
            f"it looks at {', '.join(f'`{one}`' for one in ours)}"
            if ours
            else "its SQL names none such"
        )
        self._say((*place, text), f"rule `{rule.id}` does not look at `{text}`", advice, key=True)
        return None

    def _say(self, place: KeyPath, message: str, advice: str, *, key: bool = False) -> None:
        self.problems.append(self.document.problem(place, message, advice, key=key))


def _keys(value: Any) -> list[str]:
    return [str(key) for key in value] if isinstance(value, dict) else []


def tables_of(rule: Rule) -> list[TableName]:
    """The tables that the rule names outside of SQL, its own first."""
    subject, check = rule.invariant.subject, rule.invariant.check
    own = [subject.table] if subject.table else []
    others = [TableName.parse(text, subject.sources, subject.source) for text in check.tables()]
    return list(dict.fromkeys([*own, *others]))


def sql_of(rule: Rule) -> list[str]:
    """All SQL of the user's in the rule."""
    subject, check = rule.invariant.subject, rule.invariant.check
    there = check.query_there()
    texts = [subject.where, *check.sql(), check.query_sql(), there.query if there else None]
    return [text for text in texts if text]


def is_mentioned(rule: Rule, table: TableName) -> bool:
    """Whether the rule's SQL, or code that nobody can look into, may look at a table."""
    sql = sql_of(rule)
    if not sql and not tables_of(rule):
        return True
    word = re.compile(rf"(?<!\w){re.escape(table.name)}(?!\w)", re.IGNORECASE)
    return any(word.search(text) for text in sql)
