"""Proofs of a team's own templates: each is written with samples of every kind, for `lint` to say what is wrong."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sanityd.alerts.compose import digest_view
from sanityd.alerts.compose.digest_view import Digest, DigestLine
from sanityd.alerts.compose.email_view import Form, email_view, rows_of
from sanityd.alerts.compose.render import template_of
from sanityd.alerts.compose.templating import Fault, TemplateFault, built_in, press, read, theirs
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
    Tracked,
)
from sanityd.model.did_you_mean import did_you_mean

_AT = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
_FORM = Form(UTC, "0")


def check_templates(folder: Path) -> list[Problem]:
    """What is wrong with the templates of a folder, each thing once; nothing when there is no such folder."""
    if not folder.is_dir():
        return []
    files = sorted(path for path in folder.iterdir() if path.suffix in (".html", ".txt", ".css"))
    unknown = [
        _unknown(path)
        for path in files
        if not path.name.startswith("_") and path.name not in built_in()
    ]
    return [*unknown, *(_problem(fault) for fault in _faults(folder, files))]


def _faults(folder: Path, files: list[Path]) -> list[Fault]:
    found: dict[tuple[Path, int], Fault] = {}

    def attempt(file: str, words: dict[str, object] | None) -> None:
        try:
            read(file, folder) if words is None else press(file, words, folder)
        except TemplateFault as error:
            found.setdefault((error.fault.path, error.fault.line), error.fault)

    for path in files:
        attempt(path.name, None)
    if found:
        return list(found.values())
    for name, words in _samples():
        for ending in ("txt", "html"):
            file = f"{name}.{ending}"
            own = theirs(file, folder)
            # One fault of a file is enough: others may follow from it, and one that never ends takes its time.
            if own.exists() and own not in {fault.path for fault in found.values()}:
                attempt(file, words)
    return list(found.values())


def _unknown(path: Path) -> Problem:
    advice = (
        did_you_mean(path.name, built_in())
        or "a part that others include has a name that begins with `_`"
    )
    return Problem(f"no mail is made of `{path.name}`", advice, path=path, level="warning")


def _problem(fault: Fault) -> Problem:
    try:
        lines = fault.path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    shown = lines[fault.line - 1] if 0 < fault.line <= len(lines) else ""
    advice = "what a template may use is in docs/howto/own-templates.md"
    return Problem(
        fault.message, advice, fault.path, fault.line, 1 if shown else 0, max(1, len(shown)), shown
    )


def _samples() -> Iterator[tuple[str, dict[str, object]]]:
    """Words for every template: with all that may be known, and with nothing that may be missing."""
    for alert in _alerts():
        yield template_of(alert), {"letter": email_view(alert, rows_of(alert, _FORM), _FORM)}
    line = DigestLine(
        "sample-rule", "3 of 10 samples are wrong", Severity.ERROR, _AT, "sanityd show sample-rule"
    )
    lines = (line,)
    full = Digest(
        _AT, "", "", lines, lines, lines, lines, lines, lines, lines, "28 d: 4 mails, 3 acted on", 9
    )
    for one in (full, Digest(_AT, "", holding=9)):
        yield "digest", {"letter": digest_view.digest_view(one, UTC, "0", "")}


def _alerts() -> Iterator[Alert]:
    for reason in Reason:
        if reason.mails and reason is not Reason.DIGEST:
            full, bare = _full(reason), News(reason, RuleFacts("sample-rule", "", "", "", "Sample"))
            for news in ((full,), (bare,), (full, bare)):
                yield Alert(reason, _AT, news)


def _full(reason: Reason) -> News:
    cause = {Reason.ERRORED: Cause.ERRORED, Reason.SOURCE_DOWN: Cause.SOURCE_DOWN}.get(
        reason, Cause.VIOLATED
    )
    incident = Incident(
        "sample",
        "sample-rule",
        "app",
        _AT - timedelta(hours=25),
        Severity.ERROR,
        40,
        100,
        cause=cause,
    )
    rows = tuple(
        Tracked(
            str(number), {"id": number}, True, _AT, _AT, shown={"name": "Ana"}, detail="is wrong"
        )
        for number in range(40)
    )
    return News(
        reason=reason,
        rule=RuleFacts(
            *(
                "sample-rule",
                "row",
                "app",
                "app.samples",
                "Sample",
                "It matters.",
                "Do something.",
                "ana",
            ),
            location="rules.yaml:1",
            revision="0123456",
            key=("id",),
        ),
        incident=replace(incident, resolved_at=_AT if reason is Reason.RESOLVED else None),
        sentence="40 of 100 samples are wrong",
        rows=rows,
        last_notification=LastNotification(
            Reason.OPENED, 12, Severity.ERROR, at=_AT - timedelta(hours=24)
        ),
        history=tuple(
            PastRun(_AT, outcome, 3) for outcome in (*[Outcome.COMPLETE] * 3, Outcome.ERRORED)
        ),
        noise="declared critical, now error since 2 Nov: 14 mails, none acted on",
        due=_AT + timedelta(days=3),
    )
