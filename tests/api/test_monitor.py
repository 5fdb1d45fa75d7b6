"""The Python interface: what it returns, that reading writes nothing, and what it raises."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import sanityd
from sanityd.store.open import Store
from tests.support.project import Project

DOWN = {"SMTP_URL": "smtp://127.0.0.1:1"}


def opened(project: Project, **variables: str) -> sanityd.Monitor:
    return sanityd.open(project.folder / "rules.yaml", env={**DOWN, **variables})


@pytest.fixture
def broken(project: Project) -> Project:
    """Two people without their welcome mail."""
    project.sql("UPDATE mails SET status = 'queued' WHERE person_id IN (7, 77)")
    return project


MAILED, UNIQUE = "every-person-has-a-welcome-mail", "no-duplicate-emails"


def test_a_check_is_recorded_and_what_it_found_can_be_read(broken: Project) -> None:
    with opened(broken) as monitor:
        assert monitor.rules == (MAILED, UNIQUE)
        outcome = monitor.check()
        assert (outcome.code, outcome.ok) == (3, False)  # the mail server is down
        assert outcome.undelivered == 1
        [failed] = outcome.failed
        assert (failed.rule, failed.violations, failed.severity) == (MAILED, 2, "error")
        assert [row.key for row in failed.sample] == [{"id": 7}, {"id": 77}]
        [incident] = monitor.incidents()
        assert (incident.rule, incident.cause, incident.violations) == (MAILED, "violated", 2)
        assert incident.id == failed.incident
        rows = monitor.violations(MAILED)
        assert [row.key for row in rows] == [{"id": 7}, {"id": 77}]
        assert monitor.violations(incident.id) == rows
        assert [event.what for event in monitor.history(rows[0])] == [
            "was first seen to violate the rule",
            "is still there",
        ]
        assert monitor.history(MAILED, key={"id": 7}) == monitor.history(rows[0])
        assert "violated: 2 rows, error" in [event.what for event in monitor.history(incident)]
        status = monitor.status()
    assert [(rule.rule, rule.state) for rule in status.rules] == [
        (MAILED, "violated"),
        (UNIQUE, "holds"),
    ]
    assert not status.ok


def test_what_is_repaired_is_told_as_such(broken: Project) -> None:
    with opened(broken) as monitor:
        monitor.check()
        broken.sql("UPDATE mails SET status = 'sent'")
        assert monitor.check([MAILED]).failed == ()
        assert (monitor.incidents(), monitor.violations(MAILED)) == ((), ())
        [incident] = monitor.incidents(resolved=True)
        assert not incident.open
        [first, _] = monitor.violations(MAILED, resolved=True)
        assert (first.open, first.resolution) == (False, "fixed")
        assert monitor.incidents(resolved=True, since=timedelta(0)) == ()
        broken.sql("UPDATE mails SET status = 'queued' WHERE person_id = 7")
        monitor.check([MAILED])
        told = monitor.history(incident, since=timedelta(0))
        assert told == monitor.history(incident.id)
        assert {event.incident for event in told} <= {incident.id, ""}, "the next one has its own"
        assert {event.kind for event in told} >= {"incident", "mail"}
        assert len(monitor.history(MAILED)) > len(told)


@pytest.mark.parametrize("words", [{"about": 5}, {"since": 3}])
def test_a_question_of_a_wrong_type_is_an_error_in_words(
    broken: Project, words: dict[str, Any]
) -> None:
    with (
        opened(broken) as monitor,
        pytest.raises(sanityd.SanitydError, match=r"of a `int`|no timed"),
    ):
        monitor.history(**words)


def test_reading_writes_nothing(broken: Project) -> None:
    with opened(broken) as monitor:
        assert monitor.incidents() == ()
        assert monitor.violations(MAILED) == ()
        assert {rule.state for rule in monitor.status().rules} == {"unverified"}
        assert not monitor.status().ok
        dry = monitor.check(record=False)
        assert (dry.code, dry.undelivered) == (1, None)
        assert not (broken.folder / ".sanityd").exists()
        monitor.check()
        before = _files(broken.folder)
        monitor.history()
        monitor.incidents(resolved=True)
        monitor.status()
        assert _files(broken.folder) == before


def test_threads_that_read_at_once_open_one_store(
    broken: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened_stores = []
    existing = Store.existing

    def slow(url: str | None, folder: Path) -> Store | None:
        opened_stores.append(url)
        time.sleep(0.2)
        return existing(url, folder)

    with opened(broken) as monitor:
        monitor.check()
        monkeypatch.setattr(Store, "existing", slow)
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: len(monitor.incidents()), range(4)))
    assert (answers, len(opened_stores)) == ([1] * 4, 1)


def _files(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix == ".db"]
    return {path.name: path.read_bytes() for path in files}


def test_what_is_not_known_never_looks_right(project: Project) -> None:
    with opened(project) as monitor:
        assert monitor.check().code == 0
        assert monitor.status().ok
        project.sql("ALTER TABLE mails RENAME TO letters")
        outcome = monitor.check()
        assert (outcome.ok, [result.rule for result in outcome.unknown]) == (False, [MAILED])
        [state, _] = monitor.status().rules
        assert (state.state, state.verified_at is not None) == ("unverified", True)
        assert "mails" in state.error
    text = (
        (project.folder / "rules.yaml")
        .read_text()
        .replace("ignore: [case, spaces]", "ignore: [case]")
    )
    project.rules(text)
    with opened(project) as monitor:
        [_, changed] = monitor.status().rules
        assert changed.state == "unverified"


def test_an_unknown_name_is_an_error(project: Project) -> None:
    name = f"{UNIQUE}s"
    with opened(project) as monitor:
        for _ in range(2):
            for call in (monitor.violations, monitor.history, monitor.incidents):
                with pytest.raises(sanityd.UnknownRuleError) as error:
                    call(name)
                assert error.value.hint == f"did you mean `{UNIQUE}`?"
            with pytest.raises(sanityd.UnknownRuleError):
                monitor.check([name])
            with pytest.raises(sanityd.SanitydError, match="are a text"):
                monitor.check(name)
            # Now there is a store.
            monitor.check()


def test_a_wrong_file_and_a_closed_monitor_are_errors(project: Project) -> None:
    monitor = opened(project)
    monitor.close()
    with pytest.raises(sanityd.SanitydError, match="closed"):
        monitor.status()
    project.rules("sources: {app: sqlite:///app.db}\nrules: {a: {tabel: app.people}}\n")
    with pytest.raises(sanityd.RuleError) as wrong:
        opened(project)
    assert wrong.value.problems[0].line == 2


def test_variables_come_from_the_file_the_process_and_the_call(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.rules('sources: {app: "${APP_DB}"}\nrules: {a: {table: app.people, unique: id}}\n')
    file = project.folder / ".env"
    file.write_text("APP_DB=sqlite:///app.db\n", encoding="utf-8")
    path = project.folder / "rules.yaml"
    assert sanityd.open(path, env_file=file).check(record=False).ok
    monkeypatch.setenv("APP_DB", "sqlite:///gone.db")
    assert not sanityd.open(path, env_file=file).check(record=False).ok
    assert sanityd.open(path, env={"APP_DB": "sqlite:///app.db"}).check(record=False).ok


def test_results_are_frozen(project: Project) -> None:
    with opened(project) as monitor:
        status = monitor.status()
    with pytest.raises(FrozenInstanceError):
        status.waiting = 5  # type: ignore[misc]
    assert "rules" in {field.name for field in fields(status)}


def test_to_import_sanityd_costs_nothing() -> None:
    code = (
        "import sys, sanityd; print(len([name for name in sys.modules if name.startswith"
        "(('sanityd.', 'sqlalchemy', 'pydantic', 'click'))])); sanityd.SanitydError"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
    with pytest.raises(AttributeError):
        sanityd.__getattr__("monitor_of")
    assert set(sanityd.__all__) - {"__version__"} == set(sanityd._PUBLIC)
