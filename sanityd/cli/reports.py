"""Holds the result of `check`, and formats it as one JSON object or as JUnit XML for CI."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import IO, Any
from xml.etree import ElementTree

from sanityd.alerts.compose.sanitize import display_value
from sanityd.alerts.dispatcher import DispatchSummary
from sanityd.cli import terminal
from sanityd.daemon.health import serve_state
from sanityd.model import Key, Value
from sanityd.model.identical_rows import count_repeated
from sanityd.pipeline import Result
from sanityd.rules.rule import RuleSet
from sanityd.store.leases import Lease

#: How many keys a JSON sample or a JUnit failure holds.
SAMPLE = 10


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of a pass.

    `delivered` is None for a dry run. `waiting` counts the messages that are still in the outbox,
    `unnotified` the recipients of open incidents whose last message was given up.
    `removed` has each rule that was removed from the file since the last pass, with its number of
    open violations. `suggested_renames` has the rules that seem to be one of these under a new id,
    with the old one. `daemon` is the lease of `sanityd serve`, if it ever ran. `code` is the exit
    code.
    """

    rules: RuleSet
    results: tuple[Result, ...]
    at: datetime
    seconds: float
    delivered: DispatchSummary | None
    waiting: int
    code: int
    removed: Mapping[str, int] = field(default_factory=dict)
    unnotified: int = 0
    daemon: Lease | None = None
    suggested_renames: Mapping[str, str] = field(default_factory=dict)

    @property
    def statements(self) -> int:
        """The number of SELECTs that read data."""
        return sum(result.run.statements for result in self.results)

    def count(self, verdict: str) -> int:
        """Count the rules with this verdict."""
        return sum(result.run.verdict == verdict for result in self.results)


def as_json(report: CheckReport, out: IO[str]) -> None:
    """Write one JSON object. Its keys are documented and stable."""
    counts = {
        verdict: report.count(verdict) for verdict in ("passed", "failed", "errored", "skipped")
    }
    document = {
        "started_at": report.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "rules": [_rule_object(result) for result in report.results],
        "removed": dict(report.removed),
        "suggested_renames": dict(report.suggested_renames),
        "serve": serve_state(report.daemon, report.at),
        "summary": {**counts, "seconds": round(report.seconds, 3), "statements": report.statements},
    }
    out.write(json.dumps(document, ensure_ascii=True) + "\n")


def _rule_object(result: Result) -> dict[str, Any]:
    run = result.run
    declared = result.rule.severity
    effective = result.severity or declared
    return {
        "id": run.rule,
        "kind": result.rule.invariant.kind,
        "outcome": run.verdict,
        "violations": run.violations,
        "rows": run.rows,
        "checked": run.checked,
        "severity": declared.label,
        "effective_severity": effective.label,
        "key": list(run.key),
        "sample": [json_key(violation.key) for violation in run.tracked[:SAMPLE]],
        "repeated_rows": count_repeated(run.tracked),
        "proved_by": run.proved_by,
        "truncated": run.truncated,
        "seconds": round(run.seconds, 4),
        "error": run.error,
    }


def json_key(key: Key) -> dict[str, Any]:
    """Return a key for JSON: numbers stay numbers, types that JSON lacks become text."""
    return {name: _json_value(value) for name, value in key.items()}


def _json_value(value: Value) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)


def as_junit(report: CheckReport, out: IO[str]) -> None:
    """Write JUnit XML with one test case per rule."""
    suite = ElementTree.Element(
        "testsuite",
        name="sanityd",
        tests=str(len(report.results)),
        failures=str(report.count("failed")),
        errors=str(report.count("errored")),
        skipped=str(report.count("skipped")),
        time=f"{report.seconds:.3f}",
        timestamp=report.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
    )
    for result in report.results:
        _add_test_case(suite, result)
    ElementTree.indent(suite)
    out.write(ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n")


def _add_test_case(suite: ElementTree.Element, result: Result) -> None:
    run = result.run
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=f"sanityd.{run.source}",
        name=run.rule,
        time=f"{run.seconds:.3f}",
    )
    error = display_value(run.error or "", limit=1000)
    match run.verdict:
        case "failed":
            failure = ElementTree.SubElement(case, "failure", type=result.rule.invariant.kind)
            failure.set("message", display_value(result.rule.sentence(run), limit=1000))
            keys = [terminal.key_text(violation.key) for violation in run.tracked[:SAMPLE]]
            failure.text = "\n".join(keys)
        case "errored":
            ElementTree.SubElement(case, "error", message=error)
        case "skipped":
            ElementTree.SubElement(case, "skipped", message=error)
