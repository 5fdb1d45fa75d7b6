"""What runs with sanityd's own rights: nothing beside a rules file, unless the file says `allow:
{python: true}`."""

from pathlib import Path

import pytest

from tests.support.project import Project

HEAD = "sources: {app: sqlite:///app.db}\nrules:\n"
OF_OWN_KIND = HEAD + "  r: {table: app.people, haunted: {name: x}}\n"
OF_A_FUNCTION = HEAD + "  r: {source: app, key: id, python: 'haunting:find'}\n"
BY_A_CHANNEL = (
    "channels: {team: {haunted: x}}\n" + HEAD + "  r: {table: app.people, not_null: name}\n"
)

#: Each leaves a trace when it is so much as read.
GHOST = """
import pathlib
pathlib.Path(__file__).with_name("ran").touch()
"""
KIND = (
    GHOST
    + '''
from typing import Any, ClassVar
from sanityd.checks.base import ColumnCheck

class Haunted(ColumnCheck):
    """Is one."""

    kind: ClassVar[str] = "haunted"

    def is_bad_value(self, scope: Any, name: str, expected: Any) -> Any:
        return scope.column(name) == expected

    def says(self, count: int) -> str:
        return "are haunted"
'''
)
CHANNEL = (
    GHOST
    + '''
from typing import ClassVar
from sanityd.alerts.base import Channel

class Haunted(Channel):
    """Is one."""

    kind: ClassVar[str] = "haunted"
    haunted: str

    def recipients(self):
        return ["x"]

    def deliver(self, message):
        pass
'''
)
FUNCTION = GHOST + '\ndef find(read):\n    return read("select id from people")\n'


@pytest.fixture
def haunted(project: Project) -> Project:
    """A folder full of code that nobody asked for: each file would leave a trace."""
    for name, text in {
        "checks/haunted.py": KIND,
        "channels/haunted.py": CHANNEL,
        "alerts/haunted.py": CHANNEL,
        "haunting.py": FUNCTION,
        "sitecustomize.py": GHOST,
        "sqlalchemy.py": GHOST,
        "yaml.py": GHOST,
        "checks/__init__.py": GHOST,
        "checks/not_null.py": KIND.replace("haunted", "not_null"),
    }.items():
        (project.folder / name).parent.mkdir(exist_ok=True)
        (project.folder / name).write_text(text, encoding="utf-8")
    return project


def ran(project: Project) -> list[str]:
    """In which folders code was run."""
    return sorted(
        str(path.parent.relative_to(project.folder)) for path in project.folder.rglob("ran")
    )


@pytest.mark.parametrize("rules", [OF_OWN_KIND, OF_A_FUNCTION, BY_A_CHANNEL])
@pytest.mark.parametrize(
    "command", [("lint",), ("check",), ("try", "r"), ("explain",), ("status",)]
)
def test_nothing_beside_the_rules_runs_that_was_not_allowed(
    haunted: Project, rules: str, command: tuple[str, ...]
) -> None:
    haunted.rules(rules)
    assert haunted.run(*command).code == 2
    haunted.rules("allow: {python: false}\n" + rules)
    assert haunted.run(*command).code == 2
    assert ran(haunted) == []


def test_code_that_merely_lies_there_does_not_run(haunted: Project) -> None:
    """With a good rules file, by an interpreter that starts in this folder."""
    haunted.rules(HEAD + "  r: {table: app.people, not_null: id}\n")
    assert haunted.run_anew("-h").code == 0
    assert haunted.run("check").code == 0
    assert ran(haunted) == []


@pytest.mark.parametrize(
    ("rules", "where"), [(OF_OWN_KIND, "checks"), (OF_A_FUNCTION, "."), (BY_A_CHANNEL, "channels")]
)
def test_what_is_allowed_runs(haunted: Project, rules: str, where: str) -> None:
    """So that the tests above would see it."""
    haunted.rules("allow: {python: true}\n" + rules)
    haunted.run("check")
    assert where in ran(haunted)


def test_a_kind_beside_the_rules_never_takes_the_place_of_ours(haunted: Project) -> None:
    haunted.rules("allow: {python: true}\n" + HEAD + "  r: {table: app.people, not_null: id}\n")
    assert haunted.run("check").code == 0
    assert ran(haunted) == []


def test_commands_are_allowed_as_a_whole_or_not_at_all(project: Project) -> None:
    project.rules("allow: {commands: [reboot]}\n" + OF_OWN_KIND)
    said = project.run("lint").err
    assert "`commands`" in said
    project.rules(
        HEAD + "  r: {table: app.people, not_null: id, remedy: {command: [reboot, '{key.id}']}}\n"
    )
    refused = project.run("check")
    assert refused.code == 2
    assert "a command runs with sanityd's own rights" in refused.err


def test_a_folder_that_is_trusted_once_is_not_trusted_for_others(
    haunted: Project, tmp_path: Path
) -> None:
    """Each command is a process of its own, and reads one rules file."""
    other = tmp_path / "other"
    other.mkdir()
    haunted.rules("allow: {python: true}\n" + OF_OWN_KIND)
    (other / "rules.yaml").write_text(OF_OWN_KIND, encoding="utf-8")
    assert haunted.run("lint", "--rules", str(other / "rules.yaml")).code == 2
    assert ran(haunted) == []
