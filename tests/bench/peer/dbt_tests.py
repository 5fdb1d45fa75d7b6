"""dbt: its four generic tests and singular ones, two threads; failing rows are kept in tables
(`store_failures`)."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

from dbt.cli.main import dbtRunner  # type: ignore[import-not-found]

from tests.bench.peer.told import Spec


def generic(rule: dict[str, Any]) -> tuple[str, Any] | None:
    """The column of a rule, and dbt's own test, where it has one."""
    kind, options = rule["kind"], rule["options"]
    named = {"name": _name(rule)}
    if kind == "not_null":
        return options, {"not_null": named}
    if kind == "unique" and isinstance(options, str):
        return options, {"unique": named}
    if kind == "accepted_values":
        [(column, values)] = options.items()
        return column, {"accepted_values": {**named, "arguments": {"values": values}}}
    if kind == "references":
        [(column, target)] = options.items()
        there, key = target.split(".")
        return column, {
            "relationships": {
                **named,
                "arguments": {"to": f"source('shop', '{there}')", "field": key},
            }
        }
    return None


def _name(rule: dict[str, Any]) -> str:
    return str(rule["id"]).replace("-", "_")


def project(spec: Spec) -> None:
    """The files of a project; what dbt can't say is a query of ours."""
    tables: dict[str, dict[str, list[Any]]] = {
        "people": {},
        "mails": {},
        "orders": {},
        "countries": {},
    }
    (spec.folder / "tests").mkdir(exist_ok=True)
    (spec.folder / "models").mkdir(exist_ok=True)
    for rule in spec.rules:
        found = generic(rule)
        if found is None:
            (spec.folder / "tests" / f"{_name(rule)}.sql").write_text(
                rule["sql"] + "\n", encoding="utf-8"
            )
        else:
            tables[rule["table"]].setdefault(found[0], []).append(found[1])
    sources = [
        {
            "name": table,
            "columns": [{"name": name, "data_tests": tests} for name, tests in columns.items()],
        }
        for table, columns in tables.items()
    ]
    login = spec.login
    target = {
        **{name: login[name] for name in ("host", "user", "password")},
        "type": "postgres",
        "port": int(login["port"]),
        "dbname": login["database"],
        "schema": "public",
        "threads": 2,
    }
    files = {
        "dbt_project.yml": {
            "name": "shop",
            "profile": "shop",
            "data_tests": {"+store_failures": True},
        },
        "profiles.yml": {"shop": {"target": "app", "outputs": {"app": target}}},
        "models/sources.yml": {
            "sources": [{"name": "shop", "schema": "public", "tables": sources}]
        },
    }
    for name, content in files.items():
        _write_once(spec.folder / name, json.dumps(content))


def _write_once(file: Path, words: str) -> None:
    """A file that stays as it was lets dbt use what it parsed before."""
    if not file.exists():
        file.write_text(words, encoding="utf-8")


def main() -> None:
    """One `dbt test`."""
    spec = Spec()
    project(spec)
    spec.begin()
    where = ["--project-dir", str(spec.folder), "--profiles-dir", str(spec.folder)]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        done = dbtRunner().invoke(["--quiet", "--no-version-check", "test", *where])
    if done.result is None:
        raise SystemExit(f"dbt: {done.exception or printed.getvalue()[-300:]}")
    ids = {_name(rule): rule["id"] for rule in spec.rules}
    counts: dict[str, int | str | None] = {}
    for one in done.result.results:
        if name := ids.get(one.node.name):
            counts[name] = str(one.message)[:80] if one.failures is None else one.failures
    own = sum(generic(rule) is not None for rule in spec.rules)
    spec.tell(
        counts,
        [
            f"{own} are dbt's own tests, the others queries of ours; failing rows are stored, not fetched",
            "of accepted_values it counts the values, not the rows",
        ],
    )


if __name__ == "__main__":
    main()
