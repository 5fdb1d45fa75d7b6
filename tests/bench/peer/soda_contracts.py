"""Soda 4: a contract for each table. It counts; rows are fetched only with its cloud or a
licence."""

import json
import logging
from typing import Any

from soda_core.contracts import verify_contract_locally  # type: ignore[import-not-found]

from tests.bench.peer.told import Spec, whole


def check_of(rule: dict[str, Any]) -> tuple[str, dict[str, Any]]:  # noqa: PLR0911 (one return per kind)
    """The column that a rule is about ("" for the table), and its check. What Soda can't say is SQL
    of ours."""
    kind, options, name = (
        rule["kind"],
        rule["options"],
        {"name": rule["id"], "qualifier": rule["id"].replace("-", "_")},
    )
    if kind == "not_null":
        return options, {"missing": name}
    if kind == "unique" and isinstance(options, str):
        return options, {"duplicate": name}
    if kind == "unique":
        return "", {"duplicate": {**name, "columns": options}}
    if kind == "row_count":
        return "", {
            "row_count": {**name, "threshold": {"must_be_greater_than_or_equal": options["min"]}}
        }
    if kind == "always":
        return "", {"failed_rows": {**name, "expression": rule["bad"]}}
    if kind == "fresh":
        return "", {
            "freshness": {
                **name,
                "column": "synced_at",
                "threshold": {"unit": "day", "must_be_less_than": 1},
            }
        }
    if kind in ("has", "aggregate"):
        return "", {"failed_rows": {**name, "query": rule["sql"]}}
    [(column, expected)] = options.items()
    if kind == "references":
        there, key = expected.split(".")
        return column, {
            "invalid": {
                **name,
                "valid_reference_data": {"dataset": f"app/DB/public/{there}", "column": key},
            }
        }
    return column, {"invalid": {**name, **_validity(kind, expected)}}


def _validity(kind: str, expected: Any) -> dict[str, Any]:
    match kind:
        case "accepted_values":
            return {"valid_values": expected}
        case "between":
            return {"valid_min": expected[0], "valid_max": expected[1]}
        case "length":
            return {"valid_min_length": expected[0], "valid_max_length": expected[1]}
        case _:
            return {"valid_format": {"regex": whole(expected), "name": "the form"}}


def main() -> None:
    """Four files, a verification for each table."""
    spec = Spec()
    logging.disable(logging.ERROR)
    names = ("host", "port", "user", "password", "database")
    connection = {name: spec.login[name] for name in names}
    source = spec.folder / "source.yml"
    source.write_text(
        json.dumps({"type": "postgres", "name": "app", "connection": connection}), encoding="utf-8"
    )
    counts: dict[str, int | str | None] = {}
    for table in dict.fromkeys(rule["table"] for rule in spec.rules):
        columns: dict[str, list[Any]] = {}
        for rule in spec.rules:
            if rule["table"] == table:
                column, check = check_of(rule)
                columns.setdefault(column, []).append(check)
        contract: dict[str, Any] = {"dataset": f"app/{spec.login['database']}/public/{table}"}
        contract["checks"] = columns.pop("", [])
        contract["columns"] = [{"name": name, "checks": checks} for name, checks in columns.items()]
        file = spec.folder / f"{table}.yml"
        file.write_text(
            json.dumps(contract).replace("app/DB/", f"app/{spec.login['database']}/"),
            encoding="utf-8",
        )
        result = verify_contract_locally(
            data_source_file_path=str(source), contract_file_path=str(file)
        )
        for verified in result.contract_verification_results:
            for one in verified.check_results:
                counts[one.check.name] = _count(one)
    note = "soda 4 fetches no rows here; has, always and aggregate are SQL of ours; fresh and row_count say yes or no"
    spec.tell(counts, [note])


def _count(result: Any) -> int | str | None:
    if result.check.type in ("freshness", "row_count"):
        return int(result.is_failed) if result.is_failed or result.is_passed else "not evaluated"
    value = result.threshold_value
    return "not evaluated" if value is None else int(value)


if __name__ == "__main__":
    main()
