"""Checks of the user's own templates for `lint`: each is rendered with samples of every mail."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sanityd.alerts.compose import digest_view
from sanityd.alerts.compose.digest_view import Digest, DigestLine
from sanityd.alerts.compose.email_view import RenderOptions, email_view, listed_rows
from sanityd.alerts.compose.render import template_name
from sanityd.alerts.compose.templating import (
    TemplateError,
    TemplateFailure,
    built_in_files,
    compile_template,
    render_file,
    responsible_file,
)
from sanityd.errors import Problem
from sanityd.model import (
    Alert,
    Cause,
    Incident,
    LastNotification,
    News,
    Outcome,
    PastRun,
    Reason,
    RuleFacts,
    Severity,
    TrackedViolation,
)
from sanityd.model.did_you_mean import did_you_mean

_AT = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
_OPTIONS = RenderOptions(UTC, "0")
_CAUSES = {Reason.ERRORED: Cause.ERRORED, Reason.SOURCE_DOWN: Cause.SOURCE_DOWN}


def check_templates(folder: Path) -> list[Problem]:
    """Return the problems of the templates in a folder; none when there is no such folder."""
    if not folder.is_dir():
        return []
    files = sorted(path for path in folder.iterdir() if path.suffix in (".html", ".txt", ".css"))
    names = built_in_files()
    problems = []
    for path in files:
        is_part_of_others = path.name.startswith("_")
        if path.name not in names and not is_part_of_others:
            problems.append(_unknown_template(path))
    failures = _syntax_failures(folder, files) or _rendering_failures(folder)
    problems.extend(_problem(failure) for failure in failures)
    return problems


def _syntax_failures(folder: Path, files: list[Path]) -> list[TemplateFailure]:
    failures: dict[tuple[Path, int], TemplateFailure] = {}
    for path in files:
        try:
            compile_template(path.name, folder)
        except TemplateError as error:
            failure = error.failure
            failures.setdefault((failure.path, failure.line), failure)
    return list(failures.values())


def _rendering_failures(folder: Path) -> list[TemplateFailure]:
    failures: dict[tuple[Path, int], TemplateFailure] = {}
    failed_files: set[Path] = set()
    for name, variables in _samples():
        for file in (f"{name}.txt", f"{name}.html"):
            own_file = responsible_file(file, folder)
            # One failure per file is enough: others may follow from it, and a template that never
            # ends takes its time.
            if not own_file.exists() or own_file in failed_files:
                continue
            try:
                render_file(file, variables, folder)
            except TemplateError as error:
                failure = error.failure
                failures.setdefault((failure.path, failure.line), failure)
                failed_files.add(failure.path)
    return list(failures.values())


def _unknown_template(path: Path) -> Problem:
    advice = did_you_mean(path.name, built_in_files())
    if not advice:
        advice = "a part that others include has a name that begins with `_`"
    return Problem(f"no mail uses a template `{path.name}`", advice, path=path, level="warning")


def _problem(failure: TemplateFailure) -> Problem:
    try:
        lines = failure.path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    source_line = ""
    if 0 < failure.line <= len(lines):
        source_line = lines[failure.line - 1]
    return Problem(
        failure.message,
        "what a template may use is in docs/howto/own-templates.md",
        failure.path,
        failure.line,
        1 if source_line else 0,
        max(1, len(source_line)),
        source_line,
    )


def _samples() -> Iterator[tuple[str, dict[str, object]]]:
    """Yield variables for every template: with all optional texts, and with none of them."""
    for alert in _alerts():
        view = email_view(alert, listed_rows(alert, _OPTIONS), _OPTIONS)
        yield template_name(alert), {"letter": view}
    line = DigestLine(
        "sample-rule", "3 of 10 samples are wrong", Severity.ERROR, _AT, "sanityd show sample-rule"
    )
    lines = (line,)
    full = Digest(
        _AT, "", "", lines, lines, lines, lines, lines, lines, lines, "28 d: 4 mails, 3 acted on", 9
    )
    for digest in (full, Digest(_AT, "", holding=9)):
        yield "digest", {"letter": digest_view.digest_view(digest, UTC, "0", "")}


def _alerts() -> Iterator[Alert]:
    for reason in Reason:
        if not reason.mails or reason is Reason.DIGEST:
            continue
        full = _full_news(reason)
        bare = News(reason, RuleFacts("sample-rule", "", "", "", "Sample"))
        yield Alert(reason, _AT, (full,))
        yield Alert(reason, _AT, (bare,))
        yield Alert(reason, _AT, (full, bare))


def _full_news(reason: Reason) -> News:
    incident = Incident(
        id="sample",
        rule="sample-rule",
        source="app",
        opened_at=_AT - timedelta(hours=25),
        severity=Severity.ERROR,
        violations=40,
        checked=100,
        cause=_CAUSES.get(reason, Cause.VIOLATED),
    )
    if reason is Reason.RESOLVED:
        incident = replace(incident, resolved_at=_AT)
    rule = RuleFacts(
        id="sample-rule",
        kind="row",
        source="app",
        table="app.samples",
        title="Sample",
        why="It matters.",
        fix="Do something.",
        owner="ana",
        location="rules.yaml:1",
        revision="0123456",
        key=("id",),
    )
    outcomes = (Outcome.COMPLETE, Outcome.COMPLETE, Outcome.COMPLETE, Outcome.ERRORED)
    last = LastNotification(Reason.OPENED, 12, Severity.ERROR, at=_AT - timedelta(hours=24))
    return News(
        reason=reason,
        rule=rule,
        incident=incident,
        sentence="40 of 100 samples are wrong",
        rows=tuple(_sample_row(number) for number in range(40)),
        last_notification=last,
        history=tuple(PastRun(_AT, outcome, 3) for outcome in outcomes),
        noise="declared critical, now error since 2 Nov: 14 mails, none acted on",
        due=_AT + timedelta(days=3),
    )


def _sample_row(number: int) -> TrackedViolation:
    shown = {"name": "Ana"}
    return TrackedViolation(
        str(number), {"id": number}, True, _AT, _AT, shown=shown, detail="is wrong"
    )
