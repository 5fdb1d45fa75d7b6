"""Semantics as data: `<kind>.yaml` says rows, a rule and what it must find; every case runs on
every database.

A file is a list of groups that share tables:

    - columns: {id: integer, age: integer}      # the table `t`; a column `id` is its primary key, or see `primary`
      rows: [[1, 20], [2, -1]]                  # `now - 5m` is a time before the test's present
      with: {others: {columns: {…}, rows: […]}} # more tables
      sql: [CREATE VIEW v AS …]                 # statements for all databases, or {sqlite: …, mariadb: …}
      on: [sqlite]                              # only these databases; a case says `databases: [sqlite]`
      cases:
        - says: what a reader learns from it
          rule: {between: {age: [0, 120]}}      # about `app.t`, unless it names another table
          violates: [2]                         # keys: single ones bare, composite ones as lists
          counts: {violations:, rows:, checked:, severity:, details: []}   # what else matters
          errored: words of the error           # instead of `violates`, when the rule can't be evaluated
          refused: words of the error           # … or when the rules file is wrong

`[[name]]` in SQL is the quoted name.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from sqlalchemy import Engine, text

from sanityd import pipeline
from sanityd.errors import RuleError
from sanityd.model import Outcome, Run
from sanityd.model.durations import parse_duration
from sanityd.rules.diagnostics import format_problems
from sanityd.rules.load import load

HERE = Path(__file__).parent
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
DATABASES = ("sqlite", "postgresql", "mariadb", "duckdb")

#: What a column's type is called: where a word isn't listed, it is the databases' own.
TYPES: Mapping[str, Mapping[str, str]] = {
    "text": {"mariadb": "varchar(200)"},
    # Text whose collation sees no difference in case (and, in two of them, in accents and blanks at
    # the end).
    "loose": {
        "sqlite": "text collate nocase",
        "postgresql": "text collate loose",
        "mariadb": "varchar(200) collate utf8mb4_general_ci",
        "duckdb": "varchar collate nocase.noaccent",
    },
    "decimal": {
        "sqlite": "numeric",
        "postgresql": "numeric(38, 10)",
        "mariadb": "decimal(38, 10)",
        "duckdb": "decimal(38, 10)",
    },
    "float": {
        "sqlite": "real",
        "postgresql": "double precision",
        "mariadb": "double",
        "duckdb": "double",
    },
    "timestamp": {"mariadb": "datetime(6)"},
    "instant": {
        "sqlite": "timestamptz",
        "postgresql": "timestamptz",
        "mariadb": "timestamp(6) null",
        "duckdb": "timestamptz",
    },
    "uuid": {"sqlite": "text"},
    "bytes": {
        "sqlite": "blob",
        "postgresql": "bytea",
        "mariadb": "varbinary(200)",
        "duckdb": "blob",
    },
}
LOOSE = "CREATE COLLATION IF NOT EXISTS loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)"


class READER(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML reads YAML 1.1, in which `on` is a boolean; its parser in C is ten times faster."""


READER.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":bool")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
READER.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|false"), list("tf"))


@dataclass(frozen=True)
class Case:
    """One promise about one kind."""

    says: str
    rule: Mapping[str, Any]
    tables: Mapping[str, Mapping[str, Any]]
    statements: Sequence[str | Mapping[str, str]] = ()
    violates: Sequence[Any] | None = None
    counts: Mapping[str, Any] = field(default_factory=dict)
    errored: str | None = None
    refused: str | None = None
    databases: Sequence[str] = DATABASES


def cases(kind: str) -> list[Case]:
    """The cases of a kind."""
    groups = yaml.load((HERE / f"{kind}.yaml").read_text(encoding="utf-8"), READER)  # noqa: S506 (a SafeLoader)
    return [
        _case(group, tables, case)
        for group in groups
        for tables in [_tables(group)]
        for case in group["cases"]
    ]


def every_case() -> pytest.MarkDecorator:
    """Runs a test with each case of each kind on each of its databases."""
    parameters = []
    for path in sorted(HERE.glob("*.yaml")):
        for case in cases(path.stem):
            for name in case.databases:
                identity = f"{path.stem} on {name}: {case.says}"
                parameters.append(pytest.param(case, name, id=identity))
    return pytest.mark.parametrize(("case", "stage"), parameters, indirect=["stage"])


def _tables(group: Mapping[str, Any]) -> Mapping[str, Any]:
    main = {name: group[name] for name in ("columns", "rows", "primary") if name in group}
    others: Mapping[str, Any] = group.get("with", {})
    return {"t": main, **others} if main else others


def _case(group: Mapping[str, Any], tables: Mapping[str, Any], case: Mapping[str, Any]) -> Case:
    unknown = {*group, *case} - {
        "columns",
        "rows",
        "primary",
        "with",
        "sql",
        "on",
        "cases",
        *Case.__dataclass_fields__,
    }
    assert not unknown, f"a case has no {unknown}"
    mine = {name: case[name] for name in case if name in Case.__dataclass_fields__}
    return Case(
        tables=tables,
        statements=group.get("sql", ()),
        **{"databases": group.get("on", DATABASES), **mine},
    )


@dataclass
class Stage:
    """A database on which cases are played, one after the other. Its tables stay for the next case
    of their group, since making them takes longer than to look at them."""

    name: str
    url: str
    engine: Engine
    folder: Path
    _group: Mapping[str, Any] | None = None

    def plays(self, case: Case) -> None:
        """Build the tables, run the rule through the real route, and compare."""
        if self._group is not case.tables:
            self.clear()
            self._build(case)
            # Rows with a time before the present are made anew for each case.
            self._group = None if "'now " in repr(case.tables) else case.tables
        rule = dict(case.rule)
        if case.refused is not None:
            with pytest.raises(RuleError) as refusal:
                self.run(rule)
            assert case.refused in format_problems(refusal.value.problems)
            return
        run = self.run(rule)
        if case.errored is not None:
            assert (run.outcome, case.errored in f"{run.error} {run.hint}") == (
                Outcome.ERRORED,
                True,
            ), run
            return
        assert run.error is None, f"{run.error} {run.hint}"
        assert [_plain_key(violation.key) for violation in run.tracked] == _ordered(
            case.violates or [], run
        )
        assert {name: _count(run, name) for name in case.counts} == case.counts

    def run(self, rule: Mapping[str, Any], limits: Mapping[str, Any] | None = None) -> Run:
        """What a look at one rule finds."""
        place = {} if "query" in rule or "source" in rule else {"table": "app.t"}
        file = {
            "sources": {"app": "${APP}"},
            "alerts": {"limits": limits or {}},
            "rules": {"the-rule": {**place, **self._in_words(rule)}},
        }
        path = self.folder / "rules.yaml"
        path.write_text(yaml.safe_dump(file, sort_keys=False, allow_unicode=True), encoding="utf-8")
        rules = load(path, {"APP": self.url})
        [run] = pipeline.evaluate(rules, list(rules.rules.values()), datetime.now(UTC))
        return run

    def sql(self, *statements: str, **values: Any) -> None:
        """Do something as the owner."""
        with self.engine.begin() as connection:
            for statement in statements:
                if values:
                    connection.execute(text(statement), values)
                else:
                    connection.execution_options(no_parameters=True).exec_driver_sql(
                        self._in_words(statement)
                    )

    def quoted(self, name: str) -> str:
        """A name as the database quotes it."""
        return self.engine.dialect.identifier_preparer.quote_identifier(name).replace("%%", "%")

    def _build(self, case: Case) -> None:
        if self.name == "postgresql":
            self.sql(LOOSE)
        for name, table in case.tables.items():
            self.table(name, **table)
        for statement in case.statements:
            words = statement if isinstance(statement, str) else statement.get(self.name)
            if words:
                self.sql(words)

    def table(
        self,
        name: str,
        columns: Mapping[str, str],
        rows: Sequence[Sequence[Any]] = (),
        primary: str | Sequence[str] | None = None,
    ) -> None:
        """Make a table and fill it."""
        key = [primary] if isinstance(primary, str) else primary
        key = [column for column in columns if column == "id"] if key is None else key
        parts = [f"{self.quoted(column)} {self._type(kind)}" for column, kind in columns.items()]
        parts += [f"PRIMARY KEY ({', '.join(map(self.quoted, key))})"] if key else []
        self.sql(f"CREATE TABLE {self.quoted(name)} ({', '.join(parts)})")
        places = ", ".join(f":p{place}" for place in range(len(columns)))
        kinds = list(columns.values())
        table = self.quoted(name).replace(":", "\\:")
        with self.engine.begin() as connection:
            for row in rows:
                assert len(row) == len(columns), row
                values = {f"p{n}": self._stored(value, kinds[n]) for n, value in enumerate(row)}
                connection.execute(text(f"INSERT INTO {table} VALUES ({places})"), values)

    def _type(self, kind: str) -> str:
        word, *rest = kind.split(" ", 1)
        return " ".join([TYPES.get(word, {}).get(self.name, word), *rest])

    def _stored(self, value: Any, kind: str) -> Any:
        """A value as its database's driver takes it."""
        if isinstance(value, str) and (found := re.fullmatch(r"now ([+-]) (\w+)", value)):
            span = parse_duration(found[2])
            value = datetime.now(UTC) + (span if found[1] == "+" else -span)
            if kind != "instant" or self.name == "mariadb":
                value = value.replace(tzinfo=None)
        elif isinstance(value, str) and kind == "instant" and self.name == "mariadb":
            value = datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None)
        if self.name == "sqlite" and isinstance(value, datetime | date):
            return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
        if self.name == "sqlite" and isinstance(value, bool):
            return int(value)
        return (
            Decimal(value)
            if kind.startswith("decimal") and self.name != "sqlite" and value is not None
            else value
        )

    def _in_words(self, words: Any) -> Any:
        """SQL with its `[[names]]` quoted."""
        if isinstance(words, str):
            return re.sub(r"\[\[(.+?)\]\]", lambda found: self.quoted(found[1]), words)
        if isinstance(words, Mapping):
            return {name: self._in_words(value) for name, value in words.items()}
        return [self._in_words(word) for word in words] if isinstance(words, list) else words

    def clear(self) -> None:
        """Drop all tables and views."""
        for kind, listed in _things(self):
            self.sql(
                f"DROP {kind} {self.quoted(listed)}"
                + (" CASCADE" if self.name == "postgresql" else "")
            )


def _things(stage: Stage) -> Iterator[tuple[str, str]]:
    found = {
        "sqlite": "SELECT upper(type), name FROM sqlite_master WHERE type IN ('table', 'view')",
        "postgresql": (
            "SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, c.relname FROM pg_class c"
            " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'p') AND NOT c.relispartition"
        ),
        "mariadb": (
            "SELECT CASE table_type WHEN 'VIEW' THEN 'VIEW' ELSE 'TABLE' END, table_name"
            " FROM information_schema.tables WHERE table_schema = DATABASE()"
        ),
        "duckdb": (
            "SELECT 'TABLE', table_name FROM duckdb_tables() UNION ALL"
            " SELECT 'VIEW', view_name FROM duckdb_views() WHERE NOT internal"
        ),
    }[stage.name]
    with stage.engine.connect() as connection:
        things = connection.execution_options(no_parameters=True).exec_driver_sql(found).all()
    # Views first, as they depend on tables.
    yield from sorted(((kind, name) for kind, name in things), reverse=True)


def _count(run: Run, name: str) -> Any:
    if name == "severity":
        return None if run.severity is None else run.severity.label
    if name == "details":
        return [violation.detail for violation in run.tracked]
    if name == "shown":
        return [
            {column: _plain(value) for column, value in violation.shown.items()}
            for violation in run.tracked
        ]
    if name == "said":
        return _without_ages(run.detail)
    return getattr(run, name)


def _without_ages(said: str) -> str:
    """What was measured; ages change, and so do the days of times relative to now."""
    days = re.sub(r"is 20(?!24)[\d: -]+ UTC", "is DAY UTC", said)
    return re.sub(r"UTC, [\w ]+? ago", "UTC, AGE ago", days)


def _plain_key(key: Mapping[str, Any]) -> Any:
    values = [_plain(value) for value in key.values()]
    return values[0] if len(values) == 1 else values


def _ordered(expected: Sequence[Any], run: Run) -> Sequence[Any]:
    """The expected keys in the order found: which of two texts comes first is the collation's
    business."""
    found = [_plain_key(violation.key) for violation in run.tracked]
    wanted = [
        [_plain(part) for part in key] if isinstance(key, list) else _plain(key) for key in expected
    ]
    same = sorted(map(repr, found)) == sorted(map(repr, wanted))
    return found if same else wanted


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime() | date():
            return value.isoformat()
        case float() if value.is_integer():
            return int(value)
        case UUID() | bytes():
            return str(value)
        case _:
            return value
