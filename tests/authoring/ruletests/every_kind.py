"""The cases of `tests/acceptance` as rule tests: one rules file with an example for each."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from sanityd.rules.yaml.rules_document import texts
from tests.acceptance import HERE, Case, cases

#: Types of acceptance cases that examples can have, too, by the word for them there.
TYPES = {
    **{name: name for name in ("integer", "text", "timestamp", "date", "boolean", "uuid", "bytes")},
    **dict.fromkeys(("decimal", "real", "float"), "number"),
    "bigint": "integer",
    "instant": "timestamptz",
    # Rules compare to the letter, whatever the column's collation.
    "loose": "text",
}


def rules_file(folder: Path, database: str, every: int = 1) -> tuple[Path, int]:
    """A rules file with every n-th case of those that a rule test can say, and how many these
    are."""
    chosen = dict(list(_chosen(database))[::every])
    sections = {
        # Nobody is there: only the kind of database counts.
        "sources": {"app": f"{database}://localhost:1/nowhere".replace("mariadb", "mysql")},
        "rules": {name: _rule(case, database) for name, case in chosen.items()},
        "tests": {name: _test(case) for name, case in chosen.items()},
    }
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump(sections, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path, len(chosen)


def _chosen(database: str) -> Iterator[tuple[str, Case]]:
    for file in sorted(HERE.glob("*.yaml")):
        for number, case in enumerate(cases(file.stem)):
            words = {
                kind.split()[0]
                for table in case.tables.values()
                for kind in table["columns"].values()
            }
            plain = not case.statements and words <= TYPES.keys() and database in case.databases
            if plain and case.violates is not None and not _numbers_rows(case):
                yield f"{file.stem.replace('_', '-')}-{number}", case


def _numbers_rows(case: Case) -> bool:
    """Whether rows that are identical are told apart by a number behind their key."""
    key = case.rule.get("key", ())
    columns = [key] if isinstance(key, str) else key
    return bool(columns) and any(
        isinstance(found, list) and len(found) > len(columns) for found in case.violates or ()
    )


def _rule(case: Case, database: str) -> dict[str, Any]:
    rule = dict(case.rule)
    defaults = {} if "query" in rule or "source" in rule else {"table": "app.t"}
    quote = "`" if database == "mariadb" else '"'
    named = {
        key: re.sub(
            r"\[\[(.*?)\]\]",
            lambda match: f"{quote}{match[1].replace(quote, quote * 2)}{quote}",
            value,
        )
        if isinstance(value, str)
        else value
        for key, value in {**defaults, **rule}.items()
    }
    table = str(named.get("table", "")).rpartition(".")[2]
    if (primary := case.tables.get(table, {}).get("primary")) and "key" not in named:
        named["key"] = primary
    return named


def _test(case: Case) -> dict[str, Any]:
    looks_at = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in case.tables))
    own = {} if {"query", "source", "table"} & case.rule.keys() else {"table": "app.t"}
    named = {name for _, text in texts({**case.rule, **own}) for name in looks_at.findall(text)}
    tables: dict[str, Mapping[str, Any]] = {
        f"app.{name}": case.tables[name] for name in case.tables if name in named
    }
    return {
        "name": case.says,
        "given": {
            name: [
                {column: _cell(value) for column, value in zip(table["columns"], row, strict=True)}
                for row in table.get("rows", ())
            ]
            for name, table in tables.items()
        },
        "types": {
            name: {column: TYPES[kind.split()[0]] for column, kind in table["columns"].items()}
            for name, table in tables.items()
        },
        "violates": case.violates,
    }


def _cell(value: Any) -> Any:
    if isinstance(value, str) and (match := re.fullmatch(r"now ([+-]) (\w+)", value)):
        return f"in {match[2]}" if match[1] == "+" else f"{match[2]} ago"
    return value if isinstance(value, str | int | float | None) else str(value)
