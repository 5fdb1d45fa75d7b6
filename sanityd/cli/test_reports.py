"""The forms of what `sanityd test` says: text for people, one JSON object, JUnit XML for CI."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any
from xml.etree import ElementTree

from rich.text import Text

from sanityd.alerts.compose.sanitize import display_value
from sanityd.authoring.ruletests.coverage_gaps import CoverageGap
from sanityd.authoring.ruletests.runner import CaseResult
from sanityd.authoring.ruletests.suite import Suite, SuiteReport
from sanityd.cli import terminal
from sanityd.cli.reports import json_key
from sanityd.model import Key

#: How many keys a line holds.
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Tested:
    """A whole run of `sanityd test`."""

    suite: Suite
    report: SuiteReport
    strict: bool
    seconds: float

    @property
    def code(self) -> int:
        """What to exit with."""
        return 0 if self.report.passed and not (self.strict and self.report.gaps) else 1

    def count(self, outcome: str) -> int:
        """How many examples came out so."""
        return sum(verdict.outcome == outcome for verdict in self.report.verdicts)


def as_json(tested: Tested, out: IO[str]) -> None:
    """One object, stable and documented."""
    outcomes = {outcome: tested.count(outcome) for outcome in ("passed", "failed", "errored")}
    document = {
        "cases": [_case_object(verdict) for verdict in tested.report.verdicts],
        "warnings": [_doubt_object(doubt) for doubt in tested.report.gaps],
        "summary": {
            **outcomes,
            "warnings": len(tested.report.gaps),
            "seconds": round(tested.seconds, 3),
        },
    }
    out.write(json.dumps(document, ensure_ascii=True) + "\n")


def _case_object(verdict: CaseResult) -> dict[str, Any]:
    case, match = verdict.case, verdict.match
    return {
        "rule": case.rule,
        "name": case.name or None,
        "file": case.file,
        "line": case.line,
        "outcome": verdict.outcome,
        "expected": case.violates
        if isinstance(case.violates, bool)
        else [json_key(key) for key in match.expected],
        "found": [json_key(key) for key in match.found_keys],
        "missing": [json_key(key) for key in match.missing],
        "unexpected": [json_key(key) for key in match.unexpected],
        "measured": verdict.run.measured,
        "on": verdict.on,
        "seconds": round(verdict.run.seconds, 4),
        "error": "; ".join(match.faults) or None,
    }


def _doubt_object(doubt: CoverageGap) -> dict[str, Any]:
    case = doubt.case
    return {
        "rule": doubt.rule,
        "name": case.name or None,
        "file": case.file,
        "line": case.line,
        "message": doubt.message,
        "advice": doubt.advice,
    }


def as_junit(tested: Tested, out: IO[str]) -> None:
    """One test case per example. What the examples don't show is one more each, which fails where
    that is strict."""
    doubts = tested.report.gaps
    suite = ElementTree.Element(
        "testsuite",
        name="sanityd test",
        tests=str(len(tested.report.verdicts) + len(doubts)),
        failures=str(tested.count("failed") + len(doubts) * tested.strict),
        errors=str(tested.count("errored")),
        skipped="0",
        time=f"{tested.seconds:.3f}",
    )
    for verdict in tested.report.verdicts:
        case = verdict.case
        element = _element(suite, case.rule, case.name or "example", case.file, case.line)
        element.set("time", f"{verdict.run.seconds:.3f}")
        if not verdict.passed:
            kind = "failure" if verdict.run.answered else "error"
            failure = ElementTree.SubElement(element, kind, message=expectation(verdict))
            failure.text = "\n".join(difference(verdict))
    for number, doubt in enumerate(doubts, 1):
        element = _element(
            suite,
            doubt.rule,
            f"what its examples show ({number})",
            doubt.case.file,
            doubt.case.line,
        )
        if tested.strict:
            ElementTree.SubElement(
                element, "failure", message=display_value(doubt.message, 400)
            ).text = doubt.advice
        else:
            ElementTree.SubElement(element, "system-out").text = display_value(
                f"{doubt.message}: {doubt.advice}", 800
            )
    ElementTree.indent(suite)
    out.write(ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n")


def _element(
    suite: ElementTree.Element, rule: str, name: str, file: str, line: int
) -> ElementTree.Element:
    return ElementTree.SubElement(
        suite,
        "testcase",
        classname=f"sanityd.{rule}",
        name=display_value(name),
        file=file,
        line=str(line),
    )


def as_text(tested: Tested, out: IO[str]) -> None:
    """For people: each example with what it found, and what is wrong below it."""
    console = terminal.console(out)
    examples, rules = len(tested.report.verdicts), len(tested.suite.examples)
    amount = f"{examples} {_s(examples, 'example')} of {rules} {_s(rules, 'rule')}"
    head = f"sanityd test · {tested.suite.document_name} · {amount}"
    console.print(Text(head, style="bold"))
    console.print()
    lines: list[Sequence[Text] | Text] = []
    for verdict in tested.report.verdicts:
        lines += _lines(verdict)
    for doubt in tested.report.gaps:
        mark, style = terminal.FAILED if tested.strict else terminal.MILD
        lines.append(_line(mark, style, doubt.rule, doubt.message, doubt.case.location))
        lines.append(Text(f"     {display_value(doubt.advice, 400)}", style="dim"))
    for line in terminal.aligned(lines):
        console.print(line, soft_wrap=True)
    console.print()
    console.print(_last_line(tested))


def _lines(verdict: CaseResult) -> Iterator[Sequence[Text] | Text]:
    case = verdict.case
    mark, style = (
        terminal.PASSED
        if verdict.passed
        else terminal.FAILED
        if verdict.run.answered
        else terminal.UNKNOWN
    )
    yield _line(mark, style, case.title, expectation(verdict), case.location)
    if not verdict.passed:
        yield from (Text(f"     {line}") for line in difference(verdict))


def _line(mark: str, style: str, title: str, words: str, location: str) -> Sequence[Text]:
    return [
        Text(mark, style=style),
        Text(display_value(title)),
        Text(display_value(words, 400)),
        Text(location, style="dim"),
    ]


def expectation(verdict: CaseResult) -> str:
    """What was to be found and what was, in a line."""
    match = verdict.match
    if not verdict.run.answered:
        return "could not be evaluated"
    result = keys(match.found_keys)
    if verdict.passed:
        return f"finds {result}"
    wanted = "a violation" if verdict.case.violates is True else keys(match.expected)
    return f"expected {wanted}, found {result}"


def difference(verdict: CaseResult) -> Iterator[str]:
    """What is wrong, line by line."""
    match = verdict.match
    for word, some in (("missing", match.missing), ("unexpected", match.unexpected)):
        if some:
            yield f"{word}: {keys(some, named=True)}"
    yield from (display_value(fault, 1000) for fault in match.faults)
    if not verdict.run.answered:
        yield display_value(verdict.run.hint or "", 1000)
        if verdict.on in ("sqlite", "duckdb"):
            yield (
                f"It ran on {verdict.on}. SQL that only another database understands needs"
                " `--scratch URL`."
            )


def keys(some: Sequence[Key], *, named: bool = False) -> str:
    """Return keys as people write them in `violates`.

    Parameters: `named` adds the names of the columns; keys of several columns always have them.
    """
    if not some:
        return "nothing"
    shown = some[:SHOWN]
    if named or len(shown[0]) > 1:
        text = " · ".join(terminal.key_text(key) for key in shown)
    else:
        values = [next(iter(key.values())) for key in shown]
        text = ", ".join(display_value(value) for value in values)
    left_out = len(some) - len(shown)
    if left_out:
        text += f" and {left_out:,} more"
    return text


def _last_line(tested: Tested) -> str:
    parts = [f"{tested.count('passed')} passed"]
    parts += [f"{count} {word}" for word in ("failed", "errored") if (count := tested.count(word))]
    if doubts := len(tested.report.gaps):
        parts.append(f"{doubts} {_s(doubts, 'thing')} that no example tests")
    return f"{', '.join(parts)}. {tested.seconds:.2f} s."


def _s(count: int, noun: str) -> str:
    return noun if count == 1 else noun + "s"


FORMS: dict[str, Callable[[Tested, IO[str]], None]] = {
    "text": as_text,
    "json": as_json,
    "junit": as_junit,
}
