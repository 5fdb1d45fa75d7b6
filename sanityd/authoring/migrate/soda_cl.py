"""SodaCL, the language of Soda 3: `checks for TABLE:` with one check a line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sanityd.authoring.migrate import conditions, spans
from sanityd.authoring.migrate.conditions import Level, counted
from sanityd.authoring.migrate.draft import Draft, Translation, Unmappable, quoted, source_name
from sanityd.authoring.migrate.reading import Node, wrong
from sanityd.authoring.migrate.selecting import KEY_CHOSEN, key_of

_HEADER = re.compile(r"checks for (?P<table>\S+|\"[^\"]+\")(?:\s*\[(?P<part>[^\]]+)\])?")
_PARTITION = re.compile(r"(?:filter|partition) (?P<table>\S+)\s*\[(?P<part>[^\]]+)\]")
_CONFIGURATION = re.compile(r"configurations? for (?P<table>\S+)")
_SETTING = re.compile(r"(?P<key>(?:in)?valid [a-z ]+|missing [a-z]+) for (?P<column>\S+)")
_METRIC = re.compile(
    r"(?P<metric>[A-Za-z_]\w*)\s*(?:\((?P<args>[^)]*)\))?\s*(?P<threshold>(?:[<>=!]|between|not between).*)?"
)
_REFERENCE = re.compile(
    r"values in \(?(?P<here>[^)]+?)\)? must (?P<no>not )?exist in (?P<table>\S+) \(?(?P<there>[^)]+?)\)?",
    re.IGNORECASE,
)
_SAME = re.compile(r"row_count same as (?P<table>\S+)(?: in (?P<source>\S+))?")
_OLD_FRESH = re.compile(r"freshness using (?P<column>\S+)(?P<rest>.*)")
_NUMERIC = {
    **{
        name: name + "({})"
        for name in ("avg", "sum", "min", "max", "stddev_pop", "stddev_samp", "var_pop", "var_samp")
    },
    "stddev": "stddev_samp({})",
    "variance": "var_samp({})",
    "avg_length": "avg(length({}))",
    "min_length": "min(length({}))",
    "max_length": "max(length({}))",
}
_VALIDITY = re.compile(r"(in)?valid .+|missing .+|include null")
#: Settings of a check that say nothing about what it checks.
_SILENT = {
    "name",
    "attributes",
    "samples limit",
    "samples columns",
    "identity",
    "filter",
    "warn",
    "fail",
}


@dataclass(frozen=True, slots=True)
class Table:
    """A table with what the file says of it: the part that is looked at, settings of its columns, attributes of all."""

    name: str
    source: str
    where: str | None
    settings: dict[str, dict[str, Any]]
    attributes: dict[str, Any]

    @property
    def noun(self) -> str:
        """The table alone."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class _SodaFile:
    """What a file says of its tables: parts of them by name, settings of their columns, and the values of variables."""

    source: str
    parts: dict[tuple[str, str], str]
    settings: dict[str, dict[str, dict[str, Any]]]
    variables: dict[str, str]


def read(root: Node, source: str) -> Iterator[Translation]:
    """All checks of a file."""
    given = {name: str(one.raw) for name, one in root.mapping("variables").items()}
    file = _SodaFile(source, _parts(root), _settings(root), given)
    for header, node in root.value.items():
        if found := _HEADER.fullmatch(header.strip()):
            yield from _section(node, found["table"].strip('"'), found["part"], file)
        elif header.strip() == "checks":
            yield from _section(node, "", None, file)
        elif (
            _PARTITION.fullmatch(header.strip())
            or _CONFIGURATION.fullmatch(header.strip())
            or header == "variables"
        ):
            continue
        elif header.startswith("checks for"):
            raise wrong(node, f"`{header[:60]}` names no table", "write `checks for TABLE:`")
        else:
            each = "for each" in header
            reason = (
                "it looks at tables or columns that are not in the file"
                if each
                else "it checks nothing"
            )
            yield Translation(node.place, header, reason=reason)
        for key, setting in node.value.items() if _CONFIGURATION.fullmatch(header.strip()) else ():
            if not _SETTING.fullmatch(key.strip()):
                yield Translation(
                    setting.place, f"{key} in {header}", reason="it is no setting of a column"
                )


def _parts(root: Node) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for header, node in root.value.items():
        if (match := _PARTITION.fullmatch(header.strip())) and (where := node.text("where")):
            found[match["table"], match["part"]] = where
    return found


def _settings(root: Node) -> dict[str, dict[str, dict[str, Any]]]:
    """What `configurations for TABLE` says of each of its columns."""
    tables: dict[str, dict[str, dict[str, Any]]] = {}
    for header, node in root.value.items():
        if not (match := _CONFIGURATION.fullmatch(header.strip())) or not isinstance(
            node.value, dict
        ):
            continue
        for key, value in node.value.items():
            if setting := _SETTING.fullmatch(key.strip()):
                tables.setdefault(match["table"], {}).setdefault(setting["column"], {})[
                    setting["key"]
                ] = value.plain()
    return tables


def _section(node: Node, table: str, part: str | None, file: _SodaFile) -> Iterator[Translation]:
    shared = next(
        (one.value["attributes"].plain() for one in node.list() if _is_attributes(one)), None
    )
    if not isinstance(shared, dict):
        shared = {}
    for check in node.list():
        if _is_attributes(check):
            continue
        words, body = _check(check)
        what = f"{words} on {table}" if table else words
        try:
            if isinstance(check.value, dict) and len(check.value) > 1:
                raise Unmappable(
                    "a check is one line with its settings below it; check the indentation"
                )
            if part is not None and (table, part) not in file.parts:
                raise Unmappable(f"the filter `{part}` is not in the file")
            where = file.parts.get((table, part)) if part else None
            written = [words, body, table, where, file.settings.get(table, {}), shared]
            words, body, name, where, settings, ours = conditions.filled(written, file.variables)
            about = Table(f"{file.source}.{name}", file.source, where, settings, ours)
            note = conditions.FILLED if "${" in str(written) else ""
            drafts = (draft.having(note) for draft in _drafts(words, body, about))
            yield Translation(check.place, what, tuple(drafts))
        except Unmappable as reason:
            yield Translation(check.place, what, reason=str(reason))


def _is_attributes(node: Node) -> bool:
    return isinstance(node.value, dict) and set(node.value) == {"attributes"}


def _check(node: Node) -> tuple[str, dict[str, Any]]:
    """The words of a check and its settings."""
    if isinstance(node.value, dict) and node.value:
        [(words, body), *_] = node.value.items()
        found = body.plain()
        return " ".join(words.split()), found if isinstance(found, dict) else {}
    return " ".join(str(node.raw or node.value).split()), {}


def _drafts(words: str, body: dict[str, Any], table: Table) -> Iterator[Draft]:
    owner, tags, note = conditions.attributes(
        {**table.attributes, **conditions.mapping(body, "attributes")}
    )
    for place, draft in enumerate(_mapped(words, body, table)):
        where = None if draft.kind in ("query", "columns") else table.where
        condition = None if draft.kind in ("query", "columns") else body.get("filter")
        table_key = None if draft.kind == "query" else table.name
        if draft.kind != "query" and table.noun == "":
            raise Unmappable("it names no table")
        done = draft.having(note, table=table_key, owner=owner, tags=tags or None)
        done = done.having(where=where or None).having(where=condition)
        name = body.get("name")
        yield Draft(
            str(name) if name and place == 0 else f"{name} {draft.says}" if name else draft.says,
            *(done.kind, done.options, done.keys, done.notes),
        )


def _mapped(words: str, body: dict[str, Any], table: Table) -> list[Draft]:
    """The rules of one check."""
    lower = words.lower()
    if lower == "schema":
        return list(_schema(body, table))
    if lower == "failed rows":
        return _failed_rows(body, table)
    if found := _REFERENCE.fullmatch(words):
        return [_reference(found, table)]
    if found := _SAME.fullmatch(words):
        there = (
            f"{source_name(found['source']) if found['source'] else table.source}.{found['table']}"
        )
        if found["source"]:
            raise Unmappable(
                "it compares with another data source: write `row_count: {equals: SOURCE.TABLE}` yourself"
            )
        return [
            Draft(
                f"{table.noun} has as many rows as {found['table']}", "row_count", {"equals": there}
            )
        ]
    if found := _OLD_FRESH.fullmatch(words):
        words = f"freshness({found['column']}){found['rest']}"
    found = _METRIC.fullmatch(words)
    if found is None or lower.startswith(
        ("anomaly", "change", "distribution", "group", "percentile", "correlation")
    ):
        raise Unmappable("it has no counterpart")
    args = [part.strip().strip('"') for part in (found["args"] or "").split(",") if part.strip()]
    if found["metric"] == "freshness":
        return _freshness(args, found["threshold"], body, table)
    return _metric(found["metric"], args, found["threshold"], body, table)


def _levels(threshold: str | None, body: dict[str, Any]) -> list[Level]:
    """What is right: what the check itself says, or all but what makes it warn and fail."""
    if threshold:
        return [Level(spans.parse(threshold))]
    found = []
    for key, severity in (("fail", None), ("warn", "warning")):
        if (text := body.get(key)) is None:
            continue
        if not isinstance(text, str):
            raise Unmappable(f"`{key}` is no threshold")
        found.append(Level(spans.parse(text.strip().removeprefix("when ")).inverse(), severity))
    if not found:
        raise Unmappable("it has no threshold")
    return found


def _metric(
    metric: str, args: list[str], threshold: str | None, body: dict[str, Any], table: Table
) -> list[Draft]:
    own = {key: value for key, value in body.items() if _VALIDITY.fullmatch(key)}
    config = {**(table.settings.get(args[0], {}) if args else {}), **own}
    if query := body.get(f"{metric} query"):
        return conditions.queried(str(query), metric, _levels(threshold, body), table.source)
    if expression := body.get(f"{metric} expression"):
        return conditions.measured(
            str(expression).strip(), f"{metric} of {table.noun}", _levels(threshold, body)
        )
    _refuse(body, metric)
    levels = _levels(threshold, body)
    base, _, unit = metric.rpartition("_")
    if metric == "row_count":
        return conditions.row_count(table.noun, levels)
    if base in ("missing", "invalid", "duplicate") and unit in ("count", "percent"):
        if not args:
            raise Unmappable("it names no column")
        if base == "duplicate":
            drafts = [
                Draft(
                    f"{' and '.join(args)} of {table.noun} is unique",
                    "unique",
                    args if args[1:] else args[0],
                )
            ]
        else:
            [name] = args
            drafts = (conditions.missing if base == "missing" else conditions.invalid)(
                name, table.noun, config
            )
        return counted(drafts, levels, percent=unit == "percent", rounded=True)
    if metric in _NUMERIC and len(args) == 1:
        if config:
            raise Unmappable(
                "conditions on valid values narrow what is measured, which has no counterpart"
            )
        says = f"{metric.replace('_', ' ')} of {args[0]} of {table.noun} is right"
        return conditions.measured(_NUMERIC[metric].format(quoted(args[0])), says, levels)
    raise Unmappable(f"the metric `{metric}` has no counterpart")


def _refuse(body: dict[str, Any], metric: str) -> None:
    """A setting that nobody understands is not passed over."""
    for key in body:
        if key not in _SILENT and not _VALIDITY.fullmatch(key):
            raise Unmappable(f"`{key}` of `{metric}` has no counterpart")


def _freshness(
    args: list[str], threshold: str | None, body: dict[str, Any], table: Table
) -> list[Draft]:
    if len(args) != 1:
        raise Unmappable("it is compared with a variable, whose value is not in the file")
    limits: list[tuple[str, str | None]] = []
    if threshold:
        if not threshold.startswith("<"):
            raise Unmappable(f"`{threshold}` asks for old rows")
        limits = [(conditions.duration(threshold.lstrip("<= ")), None)]
    for key, severity in (("fail", None), ("warn", "warning")):
        if text := body.get(key):
            if not str(text).startswith("when >"):
                raise Unmappable(f"`{text}` asks for old rows")
            limits.append(
                (conditions.duration(str(text).removeprefix("when >").lstrip("= ")), severity)
            )
    if not limits:
        raise Unmappable("it has no threshold")
    return conditions.fresh(args[0], table.noun, limits)


def _reference(found: re.Match[str], table: Table) -> Draft:
    here, there = ([part.strip() for part in found[side].split(",")] for side in ("here", "there"))
    if len(here) != len(there):
        raise Unmappable("it names more columns on one side than on the other")
    other = f"{table.source}.{found['table']}"
    noun = found["table"].rpartition(".")[2]
    pairs = dict(zip(here, there, strict=True))
    if found["no"]:
        if len(here) > 1:
            raise Unmappable("several columns that must not exist have no counterpart")
        says = f"{here[0]} of {table.noun} is not in {noun}"
        return Draft(says, "has", {"in": other, "on": pairs, "count": "none"})
    draft = Draft(
        f"{' and '.join(here)} of {table.noun} exists in {noun}",
        "references",
        {mine: f"{other}.{theirs}" for mine, theirs in pairs.items()},
    )
    if len(here) == 1:
        return draft
    some = " or ".join(f"{quoted(name)} is not null" for name in here)
    note = "A NULL beside a value violates, as in Soda; nothing but NULLs passes."
    return draft.having(note, nulls="fail", where=some)


def _failed_rows(body: dict[str, Any], table: Table) -> list[Draft]:
    _known = {"fail condition", "fail query"} | _SILENT
    if unknown := next((key for key in body if key not in _known), None):
        raise Unmappable(f"`{unknown}` of `failed rows` has no counterpart")
    levels = (
        _levels(None, body) if body.get("fail") or body.get("warn") else [Level(spans.Span(0, 0))]
    )
    if condition := body.get("fail condition"):
        text = str(condition).strip()
        return counted(
            [Draft(f"{table.noun} never {text}"[:80], "never", text)], levels, percent=False
        )
    sql = str(body.get("fail query") or "").strip().rstrip(";").strip()
    if not sql:
        raise Unmappable("it has neither `fail condition` nor `fail query`")
    says = f"{table.noun or 'the database'} has no failed rows"
    draft = Draft(says, "query", sql, {"source": table.source, "key": key_of(sql)}, (KEY_CHOSEN,))
    return counted([draft], levels, percent=False)


def _schema(body: dict[str, Any], table: Table) -> Iterator[Draft]:
    if not isinstance(body.get("fail"), dict) and not isinstance(body.get("warn"), dict):
        raise Unmappable("it has neither `fail` nor `warn`")
    for key, severity in (("fail", None), ("warn", "warning")):
        rules = body.get(key)
        if not isinstance(rules, dict):
            continue
        wanted: dict[str, str] = {}
        extra = False
        for condition, value in rules.items():
            if condition == "when required column missing" and isinstance(value, list):
                wanted = {**dict.fromkeys(map(str, value), "any"), **wanted}
            elif condition in ("when wrong column type", "when mismatching columns") and isinstance(
                value, dict
            ):
                wanted |= {
                    name: conditions.column_type(None if word is None else str(word))
                    for name, word in value.items()
                }
                extra = extra or condition == "when mismatching columns"
            else:
                raise Unmappable(f"`{condition}` has no counterpart")
        options: Any = {"columns": wanted, "extra": "fail"} if extra else wanted
        says = f"{table.noun} has its columns" + (" or warns" if severity else "")
        yield Draft(
            says,
            "columns",
            options,
            {"severity": severity} if severity else {},
            (conditions.FAMILIES,),
        )
