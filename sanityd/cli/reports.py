"""The forms of `check`'s answer: text for people, one JSON object, JUnit XML for CI."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import IO, Any
from xml.etree import ElementTree

from rich.text import Text

from sanityd.alerts.compose.sanitize import visible
from sanityd.alerts.dispatcher import DispatchSummary
from sanityd.cli import screen
from sanityd.model import Key, Run, Severity, Value
from sanityd.pipeline import Result
from sanityd.rules.rule import RuleSet

#: How many keys a line of text or a JSON sample holds.
SAMPLE = 10


@dataclass(frozen=True, slots=True)
class CheckReport:
    """A whole pass. `waiting` counts messages that are still in the outbox; `removed` are the rules
    that have left the file since the last one, with how much of each was open."""

    rules: RuleSet
    results: tuple[Result, ...]
    at: datetime
    seconds: float
    delivered: DispatchSummary | None
    waiting: int
    code: int
    removed: Mapping[str, int] = field(default_factory=dict)

    @property
    def statements(self) -> int:
        """How many SELECTs looked at data."""
        return sum(result.run.statements for result in self.results)

    def count(self, verdict: str) -> int:
        """How many rules came out so."""
        return sum(result.run.verdict == verdict for result in self.results)


def as_json(report: CheckReport, out: IO[str]) -> None:
    """One object, stable and documented."""
    counts = {
        verdict: report.count(verdict) for verdict in ("passed", "failed", "errored", "skipped")
    }
    document = {
        "started_at": report.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "rules": [_rule_object(result) for result in report.results],
        "removed": dict(report.removed),
        "summary": {**counts, "seconds": round(report.seconds, 3), "statements": report.statements},
    }
    out.write(json.dumps(document, ensure_ascii=True) + "\n")


def _rule_object(result: Result) -> dict[str, Any]:
    run, declared = result.run, result.rule.severity
    return {
        "id": run.rule,
        "kind": result.rule.invariant.kind,
        "outcome": run.verdict,
        "violations": run.violations,
        "rows": run.rows,
        "checked": run.checked,
        "severity": declared.label,
        "effective_severity": (result.severity or declared).label,
        "key": list(run.key),
        "sample": [plain(violation.key) for violation in run.tracked[:SAMPLE]],
        "proved_by": run.proved_by,
        "truncated": run.truncated,
        "seconds": round(run.seconds, 4),
        "error": run.error,
    }


def plain(key: Key) -> dict[str, Any]:
    """A key as JSON can say it: numbers stay numbers, what JSON has no form for becomes text."""
    return {name: _plain(value) for name, value in key.items()}


def _plain(value: Value) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return (
        value.hex()
        if isinstance(value, bytes)
        else format(value, "f")
        if isinstance(value, Decimal)
        else str(value)
    )


def as_junit(report: CheckReport, out: IO[str]) -> None:
    """One test case per rule, as CI servers read it."""
    failures = report.count("failed")
    unknown = report.count("errored")
    suite = ElementTree.Element(
        "testsuite",
        name="sanityd",
        tests=str(len(report.results)),
        failures=str(failures),
        errors=str(unknown),
        skipped=str(report.count("skipped")),
        time=f"{report.seconds:.3f}",
        timestamp=report.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
    )
    for result in report.results:
        run = result.run
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"sanityd.{run.source}",
            name=run.rule,
            time=f"{run.seconds:.3f}",
        )
        match run.verdict:
            case "failed":
                told = ElementTree.SubElement(case, "failure", type=result.rule.invariant.kind)
                told.set("message", visible(result.rule.sentence(run), limit=1000))
                told.text = "\n".join(
                    screen.key_text(violation.key) for violation in run.tracked[:SAMPLE]
                )
            case "errored":
                ElementTree.SubElement(case, "error", message=visible(run.error or "", limit=1000))
            case "skipped":
                ElementTree.SubElement(
                    case, "skipped", message=visible(run.error or "", limit=1000)
                )
    ElementTree.indent(suite)
    out.write(ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n")


def as_text(report: CheckReport, out: IO[str]) -> None:
    """For people: what is wrong first to the eye, numbers first in the line."""
    console = screen.console(out)
    looked = [result.rule for result in report.results]
    sources = len(
        {
            name
            for rule in looked
            for name in (rule.source, rule.invariant.elsewhere)
            if name is not None
        }
    )
    count = len(report.results)
    head = f"sanityd check · {report.rules.path} · {count} {_s(count, 'rule')} · {sources} {_s(sources, 'source')}"
    console.print(Text(head, style="bold"), report.at.astimezone().strftime("%H:%M:%S"), sep="   ")
    console.print()
    quiet = [result for result in report.results if _is_quiet(result.run)]
    lines = list(_loud([result for result in report.results if result not in quiet], report.at))
    if len(quiet) <= 3:
        lines += [_line(result, Text(_looked_at([result]))) for result in quiet]
    else:
        words = f"{len(quiet)} {'more ' if lines else ''}rules hold"
        lines.append(
            [Text("✓", style="green"), Text(words), Text(_looked_at(quiet)), Text(), Text()]
        )
    for line in screen.aligned([*lines, *_gone(report.removed)]):
        console.print(line, soft_wrap=True)
    console.print()
    console.print(_last_line(report))
    if report.code:
        console.print(f"exit {report.code}: {_why(report)}")


def _why(report: CheckReport) -> str:
    """What the exit code stands for in this pass."""
    if report.code == 1:
        return "a rule is violated"
    unchecked = report.count("errored") + report.count("skipped")
    checked = f"{unchecked} {_s(unchecked, 'rule')} could not be checked" if unchecked else ""
    mails = report.delivered
    stuck = report.waiting or (mails is not None and (mails.retried or mails.dead))
    return " and ".join(
        filter(None, [checked, "not every message could be delivered" if stuck else ""])
    )


def _is_quiet(run: Run) -> bool:
    return run.verdict == "passed" and not run.violations and not run.suspects


def _sign(result: Result) -> Text:
    run = result.run
    if run.verdict in ("errored", "skipped"):
        mark, style = screen.UNKNOWN
    elif result.severity is None:
        mark, style = screen.PASSED
    elif result.severity < Severity.ERROR:
        mark, style = screen.MILD
    else:
        mark, style = screen.FAILED
    return Text(mark, style=style)


def _line(result: Result, *cells: Text) -> list[Text]:
    return [_sign(result), Text(result.rule.id), *cells, *[Text()] * (3 - len(cells))]


def _loud(results: Sequence[Result], at: datetime) -> Iterator[list[Text] | Text]:
    """What is to be read; a source that does not answer is told once, not once for each of its
    rules."""
    silent: dict[tuple[str, str | None], list[Result]] = {}
    for result in results:
        if result.run.verdict == "skipped":
            silent.setdefault((result.run.source, result.run.error), []).append(result)
    for result in results:
        alike = silent.get((result.run.source, result.run.error), [])
        if len(alike) < 2:
            yield from _lines(result, at)
        elif result is alike[0]:
            yield from _unchecked(result, f"{len(alike):,} rules of {result.run.source}")


def _unchecked(result: Result, about: str) -> list[list[Text] | Text]:
    error = f"not checked: {visible(result.run.error or '', limit=400)}"
    return [
        [_sign(result), Text(about), Text(error), Text(), Text()],
        Text(f"   {result.run.hint or ''}", style="dim"),
    ]


def _gone(removed: Mapping[str, int]) -> Iterator[Text]:
    for rule, count in list(removed.items())[:SAMPLE]:
        left = "no longer looked at, as it left the rules file" + (
            f"; {count:,} open then" if count else ""
        )
        yield Text.assemble(("-", "yellow"), f"  {rule}: {left}")
    if (more := len(removed) - SAMPLE) > 0:
        yield Text(f"   and {more:,} more that left it", style="dim")


def _lines(result: Result, at: datetime) -> list[list[Text] | Text]:
    run, rule = result.run, result.rule
    if run.verdict in ("errored", "skipped"):
        return _unchecked(result, rule.id)
    if run.suspects and not run.violations:
        return [_line(result, Text(_suspected(run)))]
    severity = result.severity
    word = Text(severity.label, style=screen.STYLES[severity]) if severity else Text("tolerated")
    if result.downgraded:
        word.append(f" ({visible(result.downgraded, 200)})")
    amount = Text(visible(rule.amount(run), limit=200))
    return [
        _line(result, amount, Text(_what_changed(result, at)), word),
        Text(f"   {_keys(result)}", style="dim"),
    ]


def _keys(result: Result) -> str:
    run = result.run
    keys = " · ".join(screen.key_text(violation.key) for violation in run.tracked[:3])
    more = run.violations - min(3, len(run.tracked))
    return keys + (f" and {more:,} more" if more > 0 else "")


def _what_changed(result: Result, at: datetime) -> str:
    changes = screen.changed(result.changes)
    if (
        changes
        and result.run.truncated
        and (more := result.run.violations - len(result.run.tracked))
    ):
        # Beyond the cap nobody knows which rows they are.
        changes.append(f"{more:,} more only counted")
    words = " · ".join(changes)
    words = words and words + screen.open_since(result.incident, at)
    if result.accepted:
        words += f"; {result.accepted:,} accepted"
    if result.triage:
        words += f", {result.triage.action.value} by {visible(result.triage.author)}"
    return words + (f" · {_suspected(result.run)}" if result.run.suspects else "")


def _suspected(run: Run) -> str:
    return f"{run.suspects:,} {_s(run.suspects, 'suspect')}, to be confirmed by a later run"


def _looked_at(results: list[Result]) -> str:
    """How much was read; of single rules also which constraint made that needless."""
    if len(results) == 1 and results[0].run.proved_by:
        return f"proved by {visible(results[0].run.proved_by)}"
    counts = [result.run.checked for result in results if result.run.checked is not None]
    proofs = sum(result.run.proved_by is not None for result in results)
    # What a query of the user's has read, only its database knows.
    looked = f"{sum(counts):,} {_s(sum(counts), 'row')} looked at" if counts else "looked at"
    return looked + (f", {proofs} proved by constraints" if proofs else "")


def _last_line(report: CheckReport) -> str:
    parts = []
    if report.delivered is None:
        parts.append("Dry run: nothing was recorded or sent.")
    else:
        queued = sum(result.queued for result in report.results)
        mails = report.delivered
        if queued or mails.sent or mails.dead or report.waiting:
            parts.append(f"{queued} {_s(queued, 'message')} queued, {mails.sent} delivered.")
        if mails.dead:
            parts.append(f"{mails.dead} refused for good; see `sanityd status`.")
        if report.waiting:
            parts.append(f"{report.waiting} undelivered, to be tried again; see `sanityd status`.")
    looks = report.statements
    parts.append(f"{report.seconds:.2f} s, {looks} {_s(looks, 'statement')}.")
    return " ".join(parts)


def _s(count: int, noun: str) -> str:
    return noun if count == 1 else noun + "s"


FORMS: dict[str, Callable[[CheckReport, IO[str]], None]] = {
    "text": as_text,
    "json": as_json,
    "junit": as_junit,
}
