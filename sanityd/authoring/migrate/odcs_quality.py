"""One entry of `quality` in a data contract as rules: library metrics, SQL, and rules of our own that were exported."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sanityd import plugins
from sanityd.authoring.migrate import conditions, spans
from sanityd.authoring.migrate.conditions import Level, counted
from sanityd.authoring.migrate.draft import Draft, Unmappable, quoted
from sanityd.authoring.migrate.spans import Span
from sanityd.errors import RuleError
from sanityd.model import Severity
from sanityd.rules.yaml import rules_document

#: The custom property, and the engine, that hold what only sanityd knows.
OURS = "sanityd"
OPERATORS = {
    "mustBe": "=",
    "mustNotBe": "!=",
    "mustBeGreaterThan": ">",
    "mustBeGreaterOrEqualTo": ">=",
    "mustBeLessThan": "<",
    "mustBeLessOrEqualTo": "<=",
}
#: What `metric` was called before version 3.1, as `rule`.
_OLD = {
    "nullCheck": "nullValues",
    "duplicateCount": "duplicateValues",
    "validValues": "invalidValues",
}
_VARIABLE = re.compile(r"\$?\{\{?\s*(object|property|table|column)\s*\}?\}")
#: Keys that say nothing about which rows are right: they may go along beside the standard's own words.
BESIDE = (
    *("owner", "key", "show", "redact", "noise", "depends_on", "fix", "enabled"),
    *("schedule", "notify", "scan", "confirm"),
)


@dataclass(frozen=True, slots=True)
class QualitySubject:
    """A table, or a column of it, as rules name it and as SQL does. `exported`: the contract was made by us."""

    source: str
    table: str
    sql: str
    #: What the contract calls the table.
    name: str = ""
    column: str = ""
    exported: bool = False
    #: What columns are called in the database, where the contract has other names.
    physical: Mapping[str, str] = field(default_factory=dict)

    @property
    def noun(self) -> str:
        """The table alone."""
        return self.table.rpartition(".")[2]

    def of(self, column: str) -> "QualitySubject":
        """A column of the table."""
        return replace(self, column=column)

    def says(self, words: str) -> str:
        """A promise about the column."""
        return f"{self.column} of {self.noun} {words}"

    def finished(self, draft: Draft, *, why: str | None = None) -> Draft:
        """The rule with its table, or source."""
        named = (
            {"source": self.source} if draft.kind in ("query", "python") else {"table": self.table}
        )
        keys = {
            key: value
            for key, value in named.items()
            if not draft.keys.keys() & {"table", "source"}
        }
        return draft.having(**keys, why=" ".join(why.split()) if why else None)

    def __str__(self) -> str:
        """The table, or `table.column`."""
        return f"{self.noun}.{self.column}" if self.column else self.noun


def words_of(item: Any) -> str:
    """What an entry is called."""
    if not isinstance(item, dict):
        return "quality"
    word = item.get("metric") or item.get("rule") or item.get("type") or "quality"
    return f"{word} ({item['name']})" if item.get("name") else str(word)


def drafts_of(item: Any, about: QualitySubject) -> list[Draft]:
    """The rules of an entry. Raises Unmappable."""
    if not isinstance(item, dict):
        raise Unmappable("it is no mapping")
    kind = item.get("type") or "library"
    if kind == "text":
        raise Unmappable("it is text for people")
    if kind == "custom":
        return _custom(item, about)
    if kind == "sql":
        drafts = _sql(item, about)
    elif kind == "library":
        drafts = _library(item, about)
    else:
        raise Unmappable(f"the type `{kind}` is not known")
    return [_decorated(draft, item, about, place) for place, draft in enumerate(drafts)]


def span_of(item: Mapping[str, Any]) -> Span:
    """The values that the operators of an entry allow."""
    for word, operator in OPERATORS.items():
        if word in item:
            value = item[word]
            return spans.compared(
                operator, int(value) if isinstance(value, bool) else spans.number(value)
            )
    for word, outside in (("mustBeBetween", False), ("mustNotBeBetween", True)):
        ends = item.get(word)
        if isinstance(ends, list) and len(ends) == 2:
            return Span(spans.number(ends[0]), spans.number(ends[1]), outside=outside)
    raise Unmappable("it has no operator such as `mustBe`")


def _library(item: Mapping[str, Any], about: QualitySubject) -> list[Draft]:
    word = str(item.get("metric") or _OLD.get(str(item.get("rule")), item.get("rule")))
    levels, percent = [Level(span_of(item))], item.get("unit") == "percent"
    if word == "rowCount":
        if percent:
            raise Unmappable("of which number the rows are a share is not said")
        return conditions.row_count(about.noun, levels)
    drafts, note = _violations(word, item, about)
    # A contract of ours needs no word about what the standard leaves open.
    return counted(
        [draft if about.exported else draft.having(note) for draft in drafts],
        levels,
        percent=percent,
    )


def _violations(
    word: str, item: Mapping[str, Any], about: QualitySubject
) -> tuple[list[Draft], str]:
    """The rules whose violations a metric counts, and what the standard leaves open about NULL."""
    arguments = conditions.mapping(item, "arguments")
    if word == "duplicateValues":
        names = arguments.get("properties") or ([about.column] if about.column else None)
        if not isinstance(names, list):
            raise Unmappable("it names no columns")
        columns = [about.physical.get(str(name), str(name)) for name in names]
        says = f"{' and '.join(columns)} of {about.noun} is unique"
        draft = Draft(says, "unique", columns if columns[1:] else columns[0])
        return [draft], "A NULL is no duplicate here; the standard leaves it open."
    if word not in ("nullValues", "missingValues", "invalidValues"):
        raise Unmappable(f"the metric `{word}` has no counterpart")
    if not about.column:
        raise Unmappable(f"`{word}` needs a column")
    if word == "nullValues":
        return [Draft(about.says("is never null"), "not_null", about.column)], ""
    if word == "missingValues":
        listed = arguments.get("missingValues")
        values = [one for one in listed if one is not None] if isinstance(listed, list) else []
        drafts = conditions.missing(
            about.column, about.noun, {"missing values": values} if values else {}
        )
        said = isinstance(listed, list) and None in listed
        return drafts, "" if said else "A NULL is missing here, too; the standard leaves it open."
    # An old form, which the standard's own examples have, too: beside `arguments`, not below it.
    valid, pattern = (arguments.get(key, item.get(key)) for key in ("validValues", "pattern"))
    known = {"valid values": valid, "valid regex": pattern}
    drafts = conditions.invalid(
        about.column, about.noun, {key: one for key, one in known.items() if one is not None}
    )
    return drafts, "A NULL is not invalid here; the standard leaves it open."


def _sql(item: Mapping[str, Any], about: QualitySubject) -> list[Draft]:
    words = {
        "object": about.sql,
        "table": about.sql,
        "property": quoted(about.column),
        "column": quoted(about.column),
    }

    def filled(found: re.Match[str]) -> str:
        if found[1] in ("property", "column") and not about.column:
            raise Unmappable("its query names a column, and it stands at the table")
        return words[found[1]]

    query = _VARIABLE.sub(filled, str(item.get("query") or ""))
    if not query.strip():
        raise Unmappable("it has no query")
    if "${" in query or re.search(r"\{\w+\}", query):
        raise Unmappable("its query has a variable that is not in the file")
    says = str(item.get("name") or f"query on {about}")
    return conditions.queried(query, says, [Level(span_of(item))], about.source)


def _custom(item: Mapping[str, Any], about: QualitySubject) -> list[Draft]:
    engine = str(item.get("engine"))
    if engine != OURS:
        own = (
            f", whose own files `sanityd import {engine}` reads"
            if engine in ("soda", "dbt")
            else ""
        )
        raise Unmappable(f"it is for {engine}{own}")
    try:
        document = rules_document.parse_text(
            str(item.get("implementation")), Path("implementation")
        )
    except RuleError as error:
        raise Unmappable(f"its implementation can't be read: {error.message}") from None
    kinds = [key for key in document.data if key in plugins.names("checks")]
    if document.problems or len(kinds) != 1:
        raise Unmappable("its implementation is no rule of sanityd")
    keys = {key: value for key, value in document.data.items() if key != kinds[0]}
    name = str(item.get("name") or f"{kinds[0]} of {about}")
    return [about.finished(Draft(name, kinds[0], document.data[kinds[0]], keys))]


def _decorated(draft: Draft, item: Mapping[str, Any], about: QualitySubject, place: int) -> Draft:
    """What an entry says besides what must hold."""
    extra = next(
        (
            one.get("value")
            for one in _mappings(item.get("customProperties"))
            if one.get("property") == OURS
        ),
        None,
    )
    keys = {key: extra[key] for key in BESIDE if key in extra} if isinstance(extra, dict) else {}
    why = item.get("description") or item.get("businessImpact")
    word, ladder = str(item.get("severity") or "").lower(), draft.keys.get("severity")
    severity = _severity(word, ladder)
    foreign = (
        f"Its severity is `{word}`." if word and word.upper() not in Severity.__members__ else ""
    )
    schedule = item.get("schedule") if item.get("scheduler") in (None, "cron") else None
    tags = item.get("tags") if isinstance(item.get("tags"), list) else None
    bare = replace(
        draft, keys={key: value for key, value in draft.keys.items() if key != "severity"}
    )
    done = bare.having(
        foreign, severity=severity, tags=tags or None, **{"schedule": schedule, **keys}
    )
    done = about.finished(done).having(why=str(why) if why else None)
    name = item.get("name")
    return replace(
        done,
        says=str(name) if name and place == 0 else f"{name} {draft.says}" if name else draft.says,
    )


def _severity(word: str, ladder: Any) -> Any:
    """The severity of an entry: its word, from the count or share on that its operator says."""
    if word.upper() not in Severity.__members__:
        return ladder
    if isinstance(ladder, dict):
        [start] = ladder.values()
        return {word: start}
    return word


def _mappings(value: Any) -> Iterable[Mapping[str, Any]]:
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list) else ()
