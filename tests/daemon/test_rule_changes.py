"""Rules that are read again: what changed is in the audit, once, with its author; a broken file is
told once."""

import os
import pwd
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sanityd import pipeline
from sanityd.daemon import rule_changes
from sanityd.daemon.daemon import Daemon
from sanityd.errors import RuleError
from sanityd.notifications import timeline
from sanityd.rules.file_watch import FileWatch
from sanityd.rules.load import load
from sanityd.rules.provenance import provenance
from sanityd.store import audit, incidents
from sanityd.store.open import Store
from tests.support.project import Project

AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
HEAD = """\
sources: {app: sqlite:///app.db}
channels: {team: {email: team@example.com, server: "smtp://127.0.0.1:1", from: sanity@example.com}}
defaults: {notify: team}
rules:
"""
ONE = "  one: {table: app.people, not_null: name}\n"
TWO = "  two: {table: app.people, unique: email}\n"
STRICTER = "  one: {table: app.people, not_null: [name, email]}\n"


@pytest.fixture
def store(project: Project) -> Iterator[Store]:
    opened = Store.open(None, project.folder)
    yield opened
    opened.close()


def adopt(project: Project, store: Store, text: str) -> dict[str, int]:
    """The file says that now."""
    project.rules(HEAD + text)
    return dict(rule_changes.adopt(load(project.folder / "rules.yaml", {}), store, AT))


def test_each_change_of_a_rule_is_kept_once_by_whoever_reads_the_file(
    project: Project, store: Store
) -> None:
    assert adopt(project, store, ONE) == {"rule added": 1}
    assert adopt(project, store, ONE) == {}
    assert adopt(project, store, "# a comment\n" + ONE) == {}
    assert adopt(project, store, ONE + TWO) == {"rule added": 1}
    assert adopt(project, store, STRICTER + TWO) == {"rule changed": 1}
    assert adopt(project, store, STRICTER.replace("}", ", why: Because.}") + TWO) == {
        "rule changed": 1
    }
    assert adopt(project, store, TWO) == {"rule removed": 1}
    assert adopt(project, store, TWO) == {}
    assert adopt(project, store, ONE + TWO) == {"rule added": 1}


def test_the_audit_tells_the_revision_and_who_made_it(project: Project, store: Store) -> None:
    adopt(project, store, ONE)
    rules = load(project.folder / "rules.yaml", {})
    with store.read() as memory:
        [row] = audit.of_rule(memory, "one")
        [event] = timeline.events_since(memory, "one", AT - timedelta(days=1), rules.counted)
    owner = pwd.getpwuid(os.getuid()).pw_name
    assert (row["actor"], row["action"], row["reason"]) == (
        owner,
        "rule added",
        f"revision {rules.revision}",
    )
    assert (event.what, event.who) == ("rule added", owner)


def git(folder: Path, *words: str) -> str:
    """In a repository of the test's own."""
    who = ["-c", "user.name=Ada Lovelace", "-c", "user.email=ada@example.com"]
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *who, *words], cwd=folder, env=clean, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_file_in_git_has_the_author_of_its_commit_until_it_is_edited(project: Project) -> None:
    path = project.folder / "rules.yaml"
    owner = pwd.getpwuid(os.getuid()).pw_name
    git(project.folder, "init", "--quiet")
    assert provenance(path).author == owner
    git(project.folder, "add", "rules.yaml")
    git(project.folder, "commit", "--quiet", "-m", "Rules")
    found = provenance(path)
    assert (found.author, found.commit) == (
        "Ada Lovelace",
        git(project.folder, "log", "-1", "--format=%h"),
    )
    path.write_text(HEAD + ONE)
    assert (provenance(path).author, provenance(path).commit) == (owner, "")


def test_without_git_a_file_has_its_owner(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert provenance(project.folder / "rules.yaml").author == pwd.getpwuid(os.getuid()).pw_name
    assert provenance(project.folder / "nothing.yaml").author == "somebody"


def test_a_broken_file_keeps_the_old_rules_and_its_owners_are_told_once(
    project: Project, store: Store
) -> None:
    project.rules(HEAD + ONE)
    daemon = Daemon(load(project.folder / "rules.yaml", {}), store, alone=True)
    project.rules(HEAD + ONE + "  two: {table: app.people, uniqe: email}\n")
    for _ in range(3):
        daemon.reload()
        pipeline.notify_due(daemon.rules, store, datetime.now(UTC))
    assert [batch.rules for batch in daemon.batches()] == [("one",)]
    [(subject, text)] = project.state("SELECT subject, text FROM outbox")
    assert subject.startswith("[RULES WRONG] The rules file has errors, so the rules read before")
    assert "rules.yaml:6:28" in text
    assert "sanityd lint" in text
    assert "rules.yaml:6:28" in project.run("status").err
    project.state("UPDATE outbox SET state = 'sent', ended_at = created_at")
    project.rules(HEAD + ONE + TWO)
    assert "the rules file is wrong, so the previous rules are in use" in project.run("status").out
    daemon.reload()
    pipeline.notify_due(daemon.rules, store, datetime.now(UTC) + timedelta(minutes=1))
    assert daemon.batches()[0].rules == ("one", "two")
    assert project.state("SELECT reason FROM outbox ORDER BY seq") == [("errored",), ("resolved",)]
    with store.read() as memory:
        assert incidents.list_open(memory) == []


@pytest.mark.parametrize("broken", ["", "rules: [", "\0", "rules:\n  a: &x {b: *x}\n"])
def test_no_broken_file_ends_the_daemon(project: Project, store: Store, broken: str) -> None:
    project.rules(HEAD + ONE)
    daemon = Daemon(load(project.folder / "rules.yaml", {}), store, alone=True)
    project.rules(broken)
    with pytest.raises(RuleError):
        load(project.folder / "rules.yaml", {})
    assert [batch.rules for batch in daemon.reload()] == [("one",)]
    (project.folder / "rules.yaml").unlink()
    assert [batch.rules for batch in daemon.reload()] == [("one",)]


def test_a_removed_rule_is_closed_and_never_called_fixed(project: Project, store: Store) -> None:
    project.rules(HEAD + ONE + TWO)
    project.sql("UPDATE people SET name = NULL WHERE id = 7")
    daemon = Daemon(load(project.folder / "rules.yaml", {}), store, alone=True)
    daemon.evaluate(daemon.batches()[0])
    project.rules(HEAD + TWO)
    daemon.reload()
    assert project.state("SELECT open, resolution FROM violations") == [(0, "rule_removed")]


def test_a_renamed_rule_is_another_one(project: Project, store: Store) -> None:
    assert adopt(project, store, ONE) == {"rule added": 1}
    assert adopt(project, store, ONE.replace("one", "uno")) == {"rule added": 1, "rule removed": 1}


def test_what_was_seen_by_a_rule_that_was_edited_meanwhile_is_not_recorded(
    project: Project, store: Store
) -> None:
    """The look began by the rules of before."""
    project.rules(HEAD + ONE + TWO)
    old = load(project.folder / "rules.yaml", {})
    project.sql("UPDATE people SET name = NULL WHERE id = 7")
    daemon = Daemon(old, store, alone=True)
    [batch] = daemon.batches()
    ends = pipeline.evaluate

    def edited_meanwhile(*words: object, **options: object) -> object:
        yield from ends(*words, **options)  # type: ignore[arg-type]
        project.rules(HEAD + ONE.replace("not_null", "unique") + TWO)
        daemon.reload()

    try:
        pipeline.evaluate = edited_meanwhile  # type: ignore[assignment]
        daemon.evaluate(batch)
    finally:
        pipeline.evaluate = ends
    assert project.state("SELECT rule FROM runs") == [("two",)]
    assert project.state("SELECT count(*) FROM violations") == [(0,)]


def test_a_file_is_read_when_it_has_come_to_rest(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("a")
    watch = FileWatch(path)
    assert not watch.changed()
    path.write_text("ab")
    assert not watch.changed()
    path.write_text("abc")
    assert not watch.changed()
    assert watch.changed()
    assert not watch.changed()


def test_a_folder_whose_link_leads_elsewhere_has_changed(tmp_path: Path) -> None:
    """As a ConfigMap of Kubernetes is swapped."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rules.yaml").write_text("same")
    link = tmp_path / "rules.yaml"
    link.symlink_to("old/rules.yaml")
    watch = FileWatch(link)
    link.unlink()
    link.symlink_to("new/rules.yaml")
    assert not watch.changed()
    assert watch.changed()
    folder = FileWatch(tmp_path)
    (tmp_path / "more.yaml").write_text("a")
    (tmp_path / "notes.txt").write_text("a")
    assert [folder.changed(), folder.changed(), folder.changed()] == [False, True, False]
