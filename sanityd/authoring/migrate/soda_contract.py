"""Contracts of Soda 4: one file for one dataset, its columns and their checks."""

from collections.abc import Iterator, Mapping
from typing import Any

from sanityd.authoring.migrate import conditions, spans
from sanityd.authoring.migrate.conditions import Level, counted
from sanityd.authoring.migrate.draft import Draft, Translation, Unmappable, quoted, source_name
from sanityd.authoring.migrate.reading import Node, wrong
from sanityd.authoring.migrate.selecting import KEY_CHOSEN, key_of
from sanityd.authoring.migrate.spans import Span

_COMPARED = {
    "must_be": "=",
    "must_not_be": "!=",
    "must_be_greater_than": ">",
    "must_be_greater_than_or_equal": ">=",
    "must_be_less_than": "<",
    "must_be_less_than_or_equal": "<=",
}
_FUNCTIONS = {
    **{name: name + "({})" for name in ("avg", "sum", "min", "max")},
    "minLength": "min(length({}))",
    "maxLength": "max(length({}))",
    "avgLength": "avg(length({}))",
}
_UNITS = {"minute": 60, "hour": 3600, "day": 86_400}
_VALIDITY = {
    *(
        "missing_values",
        "missing_format",
        "valid_values",
        "invalid_values",
        "valid_format",
        "invalid_format",
    ),
    *(
        "valid_length",
        "valid_min_length",
        "valid_max_length",
        "valid_min",
        "valid_max",
        "valid_reference_data",
    ),
}
_SURPLUS = "Soda counts the rows too many, sanityd the keys that occur more than once."
#: Settings that say nothing about what is checked.
_SILENT = {"name", "qualifier", "attributes", "threshold", "filter"}


def source_of(root: Node) -> str:
    """The name of the data source that the dataset is in."""
    return source_name((root.text("dataset") or "").partition("/")[0])


def read(root: Node, source: str) -> Iterator[Translation]:
    """All checks of a contract."""
    dataset = root.text("dataset") or ""
    if not all(dataset.split("/")) or "/" not in dataset:
        node = root.get("dataset") or root
        raise wrong(node, f"`{dataset[:60]}` is no dataset", "write `source/database/schema/table`")
    contract = _SodaContract(root, _table(dataset, source), source)
    for check in root.list("checks"):
        yield contract.check(check, None)
    for column in root.list("columns"):
        for check in column.list("checks"):
            yield contract.check(check, column)


def _table(dataset: str, source: str) -> str:
    """`source/database/schema/table` as `source.schema.table`."""
    parts = dataset.split("/")[1:]
    return ".".join([source, *parts[-2:]])


class _SodaContract:
    """One contract, with what holds for all of its checks."""

    def __init__(self, root: Node, table: str, source: str) -> None:
        self.root, self.table, self.source = root, table, source
        self.noun = table.rpartition(".")[2]
        self.schedule = _schedule(root)
        self.variables = {
            name: default
            for name, one in root.mapping("variables").items()
            if (default := one.text("default"))
        }

    def check(self, node: Node, column: Node | None) -> Translation:
        """One check as rules."""
        words = next(iter(node.value), "?") if isinstance(node.value, dict) else str(node.raw)
        name = None if column is None else column.text("name")
        what = f"{words} on {self.noun}" + (f".{name}" if name else "")
        try:
            # `- missing:` with its settings at the same depth has several keys; one with nothing below it has one.
            if not isinstance(node.value, dict) or len(node.value) != 1:
                raise Unmappable(
                    "a check is one name with its settings below it; check the indentation"
                )
            plain = node.value[words].plain()
            body = plain if isinstance(plain, dict) else {}
            return Translation(node.place, what, tuple(self._drafts(words, body, column)))
        except Unmappable as reason:
            return Translation(node.place, what, reason=str(reason))

    def _drafts(self, kind: str, body: dict[str, Any], column: Node | None) -> Iterator[Draft]:
        written = {
            "body": body,
            "filters": [text for text in (self.root.text("filter"), body.get("filter")) if text],
        }
        body, filters = conditions.filled(written, self.variables).values()
        known = conditions.FILLED if "${" in str(written) else ""
        if "scope" in body:
            raise Unmappable("`scope` has no counterpart")
        owner, tags, note = conditions.attributes(conditions.mapping(body, "attributes"))
        name = None if column is None else column.text("name")
        why = column.text("description") if column is not None else None
        mapped = self._columns(body) if kind == "schema" else self._mapped(kind, body, column, name)
        for place, draft in enumerate(mapped):
            done = draft.having(note, known, owner=owner, tags=tags or None, schedule=self.schedule)
            if draft.kind == "query":
                done = done.having(source=self.source)
            else:
                done = done.having(table=self.table)
                for text in () if draft.kind == "columns" else filters:
                    done = done.having(where=" ".join(str(text).split()))
            done = done.having(why=" ".join(why.split()) if why else None)
            given = body.get("name")
            says = (
                str(given)
                if given and place == 0
                else f"{given} {draft.says}"
                if given
                else draft.says
            )
            yield Draft(says, done.kind, done.options, done.keys, done.notes)

    def _mapped(
        self, kind: str, body: dict[str, Any], column: Node | None, name: str | None
    ) -> list[Draft]:
        levels, percent = _levels(conditions.mapping(body, "threshold"))
        usual = levels or [Level(Span(0, 0))]
        if kind == "row_count":
            self._only(body)
            return conditions.row_count(self.noun, levels or [Level(Span(0, None, low_open=True))])
        if kind == "freshness":
            return self._freshness(body)
        if kind in ("failed_rows", "metric"):
            return self._sql(kind, body, levels, percent=percent)
        if kind == "duplicate":
            return self._unique(body, name, usual, percent=percent)
        if name is None:
            raise Unmappable(f"`{kind}` has no counterpart")
        if kind == "aggregate":
            return self._aggregate(body, name, levels)
        if kind not in ("missing", "invalid"):
            raise Unmappable(f"`{kind}` has no counterpart")
        self._only(body, *_VALIDITY)
        config = _validity(body, column)
        if kind == "missing":
            drafts = conditions.missing(name, self.noun, config)
        elif reference := conditions.mapping(config, "valid reference data"):
            del config["valid reference data"]
            drafts = [self._reference(name, reference)]
            drafts += conditions.invalid(name, self.noun, config) if config else []
        else:
            drafts = conditions.invalid(name, self.noun, config)
        return counted(drafts, usual, percent=percent)

    def _only(self, body: dict[str, Any], *known: str) -> None:
        if unknown := next((key for key in body if key not in _SILENT and key not in known), None):
            raise Unmappable(f"`{unknown}` has no counterpart")

    def _reference(self, name: str, reference: Any) -> Draft:
        dataset, there = str(reference.get("dataset")), str(reference.get("column"))
        if source_name(dataset.partition("/")[0]) != source_of(self.root):
            raise Unmappable(
                "the reference data is in another data source: write `references` yourself"
            )
        table = _table(dataset, self.source)
        says = f"{name} of {self.noun} exists in {table.rpartition('.')[2]}"
        return Draft(says, "references", {name: f"{table}.{there}"})

    def _unique(
        self, body: dict[str, Any], name: str | None, levels: list[Level], *, percent: bool
    ) -> list[Draft]:
        self._only(body, "columns")
        listed = [name] if name else body.get("columns")
        names = [str(one) for one in listed] if isinstance(listed, list) else []
        if not names:
            raise Unmappable("it names no columns")
        says = f"{' and '.join(names)} of {self.noun} is unique"
        if name:
            draft = Draft(says, "unique", name)
        else:
            note = "NULLs equal each other, as in Soda's check of several columns."
            draft = Draft(says, "unique", {"columns": names, "nulls": "equal"}, notes=(note,))
        done = counted([draft], levels, percent=percent)
        return [
            one.having(_SURPLUS)
            if "severity" in one.keys and isinstance(one.keys["severity"], dict)
            else one
            for one in done
        ]

    def _aggregate(self, body: dict[str, Any], name: str, levels: list[Level]) -> list[Draft]:
        self._only(body, "function")
        function = str(body.get("function"))
        if function not in _FUNCTIONS or not levels:
            raise Unmappable(
                f"the function `{function}` has no counterpart, or there is no threshold"
            )
        return conditions.measured(
            _FUNCTIONS[function].format(quoted(name)),
            f"{function} of {name} of {self.noun} is right",
            levels,
        )

    def _freshness(self, body: dict[str, Any]) -> list[Draft]:
        self._only(body, "column")
        threshold = conditions.mapping(body, "threshold")
        unit = _UNITS.get(str(threshold.get("unit", "hour")))
        levels, _ = _levels({key: value for key, value in threshold.items() if key != "unit"})
        if (
            unit is None
            or not levels
            or any(one.right.high is None or one.right.low is not None for one in levels)
        ):
            raise Unmappable("`fresh` knows only the greatest age that the newest row may have")
        limits = [(f"{round(float(one.right.high or 0) * unit)}s", one.severity) for one in levels]
        return conditions.fresh(
            str(body.get("column")),
            self.noun,
            [(_rounded(age), severity) for age, severity in limits],
        )

    def _sql(
        self, kind: str, body: dict[str, Any], levels: list[Level], *, percent: bool
    ) -> list[Draft]:
        self._only(body, "expression", "query")
        expression, query = body.get("expression"), body.get("query")
        if kind == "metric":
            if not levels:
                raise Unmappable("it has no threshold")
            if query:
                return conditions.queried(str(query), f"metric of {self.noun}", levels, self.source)
            return conditions.measured(str(expression).strip(), f"metric of {self.noun}", levels)
        usual = levels or [Level(Span(0, 0))]
        if expression:
            text = " ".join(str(expression).split())
            return counted(
                [Draft(f"{self.noun} never {text}"[:80], "never", text)], usual, percent=percent
            )
        sql = str(query or "").strip().rstrip(";").strip()
        if not sql or percent:
            raise Unmappable("of how many rows a query's are a share is not known here")
        says = f"{self.noun} has no failed rows"
        return counted(
            [Draft(says, "query", sql, {"key": key_of(sql)}, (KEY_CHOSEN,))], usual, percent=False
        )

    def _columns(self, body: dict[str, Any]) -> list[Draft]:
        self._only(body, "allow_extra_columns", "allow_other_column_order")
        columns = self.root.list("columns")
        wanted = {
            one.text("name") or "": conditions.column_type(one.text("data_type"))
            for one in columns
            if (one.get("optional") or one).value is not True
        }
        extra = not body.get("allow_extra_columns")
        if extra and len(wanted) < len(columns):
            raise Unmappable("columns that may be there, and no others, have no counterpart")
        options: Any = {"columns": wanted, "extra": "fail"} if extra else wanted
        order = (
            "" if body.get("allow_other_column_order") else "The order of columns is not looked at."
        )
        return [
            Draft(
                f"{self.noun} has its columns", "columns", options, notes=(conditions.FAMILIES,)
            ).having(order)
        ]


def _validity(body: Mapping[str, Any], column: Node | None) -> dict[str, Any]:
    """What counts as missing and as valid: as the check says, else as its column says."""
    config: dict[str, Any] = {}
    for part in ("missing", "valid"):
        own = {key: value for key, value in body.items() if key in _VALIDITY and part in key}
        if not own and column is not None:
            own = {
                key: node.plain()
                for key, node in column.value.items()
                if key in _VALIDITY and part in key
            }
        config |= own
    named = {key.replace("_", " "): value for key, value in config.items()}
    form = named.pop("missing format", None)
    if isinstance(form, dict) and form.get("regex"):
        named["missing regex"] = form["regex"]
    return named


def _levels(threshold: Mapping[str, Any]) -> tuple[list[Level], bool]:
    """The thresholds of a check, and whether they are shares."""
    found = [_level(part) for part in (threshold, conditions.mapping(threshold, "additional"))]
    return [level for level in found if level is not None], threshold.get("metric") == "percent"


def _level(part: Mapping[str, Any]) -> Level | None:
    severity = "warning" if part.get("level") == "warn" else None
    for word, operator in _COMPARED.items():
        if word in part:
            return Level(spans.compared(operator, spans.number(part[word])), severity)
    for word, outside in (("must_be_between", False), ("must_be_not_between", True)):
        if isinstance(bounds := part.get(word), dict):
            low = bounds.get("greater_than", bounds.get("greater_than_or_equal"))
            high = bounds.get("less_than", bounds.get("less_than_or_equal"))
            ends = (
                None if low is None else spans.number(low),
                None if high is None else spans.number(high),
            )
            return Level(
                Span(*ends, "greater_than" in bounds, "less_than" in bounds, outside), severity
            )
    return Level(Span(0, 0), severity) if severity else None


def _schedule(root: Node) -> str | None:
    agent = root.get("soda_runner", "soda_agent")
    plan = None if agent is None else agent.get("checks_schedule")
    if plan is None or not plan.text("cron"):
        return None
    return f"{plan.text('cron')} {plan.text('timezone') or ''}".strip()


def _rounded(seconds: str) -> str:
    number = int(seconds[:-1])
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if number and number % size == 0:
            return f"{number // size}{unit}"
    return seconds
