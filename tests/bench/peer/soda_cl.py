"""Soda Core 3.5: SodaCL. Failed rows go to a sampler, which fetches as many as sanityd tracks."""

import json
import logging
from typing import Any

from soda.sampler.sampler import Sampler  # type: ignore[import-not-found]
from soda.scan import Scan  # type: ignore[import-not-found]

from tests.bench.peer.told import Spec, whole

LIMIT = 1000


class Fetching(Sampler):  # type: ignore[misc]  # not installed where types are checked
    """Fetches the rows and keeps their number."""

    fetched = 0

    def store_sample(self, sample_context: Any) -> None:
        """Called with each query of failed rows."""
        self.fetched += len(list(sample_context.sample.get_rows()))


def check_of(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule in SodaCL. What it can't say is SQL of ours."""
    kind, options = rule["kind"], rule["options"]
    named: dict[str, Any] = {"name": rule["id"], "samples limit": LIMIT}
    match kind:
        case "not_null":
            return {f"missing_count({options}) = 0": named}
        case "unique":
            columns = options if isinstance(options, str) else ", ".join(options)
            return {f"duplicate_count({columns}) = 0": named}
        case "row_count":
            return {f"row_count >= {options['min']}": {"name": rule["id"]}}
        case "fresh":
            return {"freshness(synced_at) < 1d": {"name": rule["id"]}}
        case "always":
            return {"failed rows": {**named, "fail condition": rule["bad"]}}
        case "has" | "aggregate":
            return {"failed rows": {**named, "fail query": rule["sql"]}}
    [(column, expected)] = options.items()
    if kind == "references":
        there, key = expected.split(".")
        return {f"values in ({column}) must exist in {there} ({key})": named}
    return {f"invalid_count({column}) = 0": {**named, **_validity(kind, expected)}}


def _validity(kind: str, expected: Any) -> dict[str, Any]:
    match kind:
        case "accepted_values":
            return {"valid values": expected}
        case "between":
            return {"valid min": expected[0], "valid max": expected[1]}
        case "length":
            return {"valid min length": expected[0], "valid max length": expected[1]}
        case _:
            return {"valid regex": whole(expected)}


def main() -> None:
    """One scan."""
    spec = Spec()
    logging.disable(logging.ERROR)
    scan = Scan()
    scan.disable_telemetry()
    scan.set_data_source_name("app")
    login = spec.login
    connection = {name: login[name] for name in ("host", "port", "database", "password")}
    source = {"type": "postgres", **connection, "username": login["user"], "schema": "public"}
    scan.add_configuration_yaml_str(json.dumps({"data_source app": source}))
    checks: dict[str, list[Any]] = {}
    for rule in spec.rules:
        checks.setdefault(f"checks for {rule['table']}", []).append(check_of(rule))
    scan.add_sodacl_yaml_str(json.dumps(checks))
    scan.sampler = Fetching()
    scan.execute()
    counts = {check.name: _count(check) for check in scan._checks}
    notes = ["has, always and aggregate are SQL of ours; fresh and row_count say yes or no"]
    notes += [f"error: {log.message[:200]}" for log in scan.get_error_logs()[:3]]
    spec.tell(counts, [f"rows fetched: {scan.sampler.fetched}", *notes])


def _count(check: Any) -> int | str | None:
    outcome = None if check.outcome is None else check.outcome.value
    if outcome is None:
        return "not evaluated"
    if check.name in ("orders-are-synced", "no-order-is-lost"):
        return int(outcome == "fail")
    value = check.check_value
    return int(value) if isinstance(value, int | float) else f"{outcome}, no count"


if __name__ == "__main__":
    main()
