"""Every kind of rule on a column of every type: each is answered or refused, and nothing fails.

`python -m tests.fuzz --types` tries the whole product on all four databases; the suite a part.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from sanityd import pipeline
from sanityd.errors import RuleError
from sanityd.model import Run
from sanityd.rules.load import load
from tests.fuzz.column_types import POSTGRESQL_SETUP, TYPES
from tests.support.services import owner

#: Errors that tell nobody what is wrong.
HELPLESS = re.compile(r"itself failed|can't be handled|failed at the statement \((misuse|error)\)")
#: Values of rules: of each type, and such as databases take for a number or a time.
_LITERALS: tuple[Any, ...] = (
    0, 1, 42, -1, 1.5, True, False, "open", "", "1", "1.50", "2024-06-01", "2024-06-01 12:00",
    "2024-06-01T12:00:00+02:00", "09:30", "-10:00:00", "true", "{}", "null", "10.0.0.1",
    "0B8E2B3E-0d7c-4a53-9f10-6f8c4a8d1a11", "[1, 2]", "1 day", 10**30,
)  # fmt: skip


def rules_of(column: str) -> Iterator[Mapping[str, Any]]:
    """Yield the rules that name a column in each place where one can be named."""
    for literal in _LITERALS:
        yield {"accepted_values": {column: [literal]}}
        yield {"rejected_values": {column: [literal, literal]}}
        if isinstance(literal, bool):
            continue
        yield {"between": {column: {"min": literal}}}
        yield {"between": {column: {"below": literal}}, "nulls": "fail"}
    for pattern in ("email", "uuid", "[a-z]+"):
        yield {"matches": {column: pattern}}
        yield {"not_matches": {"columns": {column: pattern}, "part": True}}
    yield {"between": {column: {"max": "now"}}}
    yield {"between": {column: {"min": "2020-01-01", "max": "now + 1d"}}, "nulls": "fail"}
    yield {"length": {column: [1, 3]}}
    yield {"not_null": column, "show": [column]}
    yield {"not_null": {"columns": [column], "blank": "fail"}}
    yield {"unique": column}
    yield {"unique": {"columns": [column], "ignore": ["case", "spaces"]}, "show": ["id", column]}
    yield {"unique": {"columns": [column], "nulls": "equal"}}
    yield {"references": {column: f"other.{column}"}}
    yield {"references": {column: "other.id"}}
    yield {"references": {column: "other.word"}, "nulls": "fail"}
    yield {"has": {"in": "other", "on": {column: column}, "count": "exactly 1"}}
    yield {"has": {"in": "other", "on": {"id": column}}}
    yield {"same_as": {"in": "other", "on": "id", "compare": [column]}, "show": [column]}
    yield {"same_as": {"in": "other", "on": column}}
    yield {"same_as": {"in": "other", "on": {"id": "id"}, "compare": {column: "word"}}}
    yield {"increases": {"column": column, "order_by": "id"}}
    yield {"increases": {"column": "id", "per": column, "order_by": column}}
    yield {"transitions": {"column": column, "order_by": "id", "allowed": {"a": ["1"]}}}
    yield {"no_gaps": column}
    yield {"no_gaps": {"column": "id", "per": column}}
    yield {"no_overlap": {"from": column, "to": column}}
    yield {"no_overlap": {"from": "id", "to": "id", "per": column}}
    yield {"acyclic": {column: column}}
    yield {"acyclic": {"id": column}}
    yield {"aggregate": {"expr": "count(*)", "equals": 9, "by": column}}
    for function in ("max", "sum", "count"):
        yield {"steady": {"expr": f"{function}({{column}})", "within": "10%"}}
        yield {"aggregate": {"expr": f"{function}({{column}})", "max": 1}, "show": ["value"]}
        yield {"aggregate": {"expr": f"{function}({{column}})", "min": "open", "by": "id"}}
    yield {"fresh": {column: "1h"}}
    yield {"columns": {column: "text"}}
    yield {"row_count": {"min": 1}, "where": "{column} is not null"}
    yield {"row_count": {"max": 1}, "within": f"1h of {column}"}
    yield {"never": "id < 3", "window": f"1h of {column}", "show": [column]}
    yield {"never": "id < 3", "key": column, "show": [column]}
    yield {"not_null": "id", "scan": f"new rows by {column}, full daily"}
    yield {"query": "select id, {column} from t", "key": column, "show": ["id"]}


@dataclass(frozen=True)
class Fault:
    """A rule that failed in a way that helps nobody."""

    database: str
    type: str
    rule: Mapping[str, Any]
    error: str

    def __str__(self) -> str:
        return f"{self.database} {self.type}: {yaml.safe_dump(dict(self.rule), default_flow_style=True).strip()}\n    {self.error}"


def column_name(type_name: str) -> str:
    """The name of the column of a type."""
    return "c_" + re.sub(r"\W+", "_", type_name)


def build(name: str, url: str) -> None:
    """Make the tables `t` and `other`: a column of each type, and rows with its values."""
    statements = list(POSTGRESQL_SETUP) if name == "postgres" else []
    types = TYPES[name]
    definitions = [f"{column_name(type_name)} {type_name}" for type_name in types]
    rows = max(map(len, types.values())) + 1
    for table in ("t", "other"):
        columns = ", ".join(["id integer primary key", "word varchar(80)", *definitions])
        statements.append(f"CREATE TABLE {table} ({columns})")
        for number in range(rows):
            values = [str(number), f"'{number}'"]
            values += [given[number] if number < len(given) else "NULL" for given in types.values()]
            statements.append(f"INSERT INTO {table} VALUES ({', '.join(values)})")
    engine = owner(url)
    with engine.begin() as connection:
        if name == "mariadb":
            connection.exec_driver_sql("SET SESSION sql_mode = ''")
        for statement in statements:
            connection.execution_options(no_parameters=True).exec_driver_sql(statement)
    engine.dispose()


def product(name: str) -> list[tuple[str, Mapping[str, Any]]]:
    """All rules, each with the type of its column."""
    rules: list[tuple[str, Mapping[str, Any]]] = []
    for type_name in TYPES[name]:
        column = column_name(type_name)
        rules.extend((type_name, _named(rule, column)) for rule in rules_of(column))
    return rules


def _named(value: Any, column: str) -> Any:
    if isinstance(value, str):
        return value.replace("{column}", column)
    if isinstance(value, Mapping):
        return {name: _named(part, column) for name, part in value.items()}
    return value


def attempt(
    name: str, url: str, rules: Sequence[tuple[str, Mapping[str, Any]]], folder: Path
) -> tuple[list[Run], list[Fault]]:
    """Evaluate the rules, those of a type together."""
    runs: list[Run] = []
    faults: list[Fault] = []
    by_type: dict[str, list[Mapping[str, Any]]] = {}
    for type_name, rule in rules:
        by_type.setdefault(type_name, []).append(rule)
    for type_name, of_type in by_type.items():
        answers = _evaluate(url, of_type, folder)
        for rule, answer in zip(of_type, answers, strict=True):
            if isinstance(answer, str):
                faults.append(Fault(name, type_name, rule, answer))
                continue
            runs.append(answer)
            if HELPLESS.search(f"{answer.error}"):
                faults.append(Fault(name, type_name, rule, f"{answer.error} ({answer.hint})"))
    return runs, faults


def _evaluate(url: str, rules: Sequence[Mapping[str, Any]], folder: Path) -> list[Run | str]:
    """The run of each rule, or what was raised in its place."""
    written: dict[str, Any] = {}
    for number, rule in enumerate(rules):
        place = {"source": "app"} if "query" in rule else {"table": "app.t"}
        written[f"rule-{number}"] = {**place, **rule}
    file = {"sources": {"app": "${APP}"}, "rules": written}
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump(file, sort_keys=False, allow_unicode=True), encoding="utf-8")
    try:
        read = load(path, {"APP": url})
        runs = pipeline.evaluate(read, list(read.rules.values()), datetime.now(UTC))
        by_rule = {run.rule: run for run in runs}
        return [by_rule[name] for name in read.rules]
    except RuleError as error:
        return [error.message] * len(rules)
    except Exception as error:  # noqa: BLE001 (that is what is looked for)
        if len(rules) == 1:
            return [f"{type(error).__name__}: {error}"]
        half = len(rules) // 2
        return [*_evaluate(url, rules[:half], folder), *_evaluate(url, rules[half:], folder)]
