"""The reference says what the code says: generated pages are fresh, and lists that people wrote are
complete."""

import re
from collections.abc import Iterator
from typing import Any

import click
import pytest
import yaml

from sanityd.authoring.reference import contracts, manual
from sanityd.cli import manual as command_manual
from sanityd.cli import root
from tests import ROOT
from tests.docs.pages import PAGES, blocks

REFERENCE = ROOT / "docs" / "reference"
WRITTEN = {
    "kinds": manual.page,
    "channels": manual.channels_page,
    "contracts": contracts.page,
    "commands": command_manual.page,
}
SOURCES = {path: path.read_text(encoding="utf-8") for path in (ROOT / "sanityd").rglob("*.py")}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_page_that_is_written_from_the_code_is_fresh(name: str) -> None:
    fresh = (REFERENCE / f"{name}.md").read_text(encoding="utf-8") == WRITTEN[name]()
    assert fresh, "run `scripts/docs`"


def test_every_environment_variable_is_in_the_reference_and_none_is_made_up() -> None:
    pattern = r"\b(?:SANITYD|SENTRY)_[A-Z_]+\b"
    used = {name for text in SOURCES.values() for name in re.findall(pattern, text)}
    told = set(
        re.findall(
            rf"^\| `({pattern})` \|",
            (REFERENCE / "environment.md").read_text("utf-8"),
            re.MULTILINE,
        )
    )
    assert told == used


def test_every_exit_code_is_in_the_reference() -> None:
    text = (REFERENCE / "exit-codes.md").read_text(encoding="utf-8")
    used = {
        code
        for source in SOURCES.values()
        for code in re.findall(r"^EXIT_[A-Z]+ = (\d+)", source, re.MULTILINE)
    }
    told = set(re.findall(r"^\| (\d+) \|", text, re.MULTILINE))
    assert told == used | {"0", "1", "130"}


def test_every_key_of_the_json_has_its_line() -> None:
    text = (REFERENCE / "json.md").read_text(encoding="utf-8")
    [shown] = blocks(REFERENCE / "json.md", "json")
    named = {
        word
        for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
        for word in re.findall(r"`(\w+)`", row)
    }
    keys = set(re.findall(r'"(\w+)":', shown.text)) - {
        "email",
        "passed",
        "failed",
        "errored",
        "skipped",
        "statements",
    }
    assert named == keys


def invocations() -> Iterator[tuple[str, list[str]]]:
    """Every `sanityd …` in a block or between backticks, with the page and its words."""
    for page in PAGES:
        for said in re.findall(
            r"(?:^|[`$ ])sanityd ((?:[a-z][^`\n|&>#]*))", page.read_text(encoding="utf-8"), re.M
        ):
            yield page.name, said.split()


def test_every_option_shown_exists() -> None:
    context = click.Context(root, info_name="sanityd")
    seen = 0
    for page, words in invocations():
        command = root.get_command(context, words[0])
        if isinstance(command, click.Group) and len(words) > 1:
            command = command.get_command(context, words[1]) or command
        if command is None:
            continue
        known = {name for param in command.params for name in param.opts}
        shown = [word.partition("=")[0].rstrip(".,;:)") for word in words if word.startswith("--")]
        assert set(shown) - {"--help"} <= known, f"{page}: sanityd {' '.join(words)}"
        seen += len(shown)
    assert seen > 40


def workflows() -> list[Any]:
    page = ROOT / "docs" / "howto" / "github-actions.md"
    # As text: to YAML 1.1 the key `on` is a boolean.
    return [yaml.load(block.text, yaml.BaseLoader) for block in blocks(page, "yaml")]  # noqa: S506 (it makes only text)


@pytest.mark.parametrize("workflow", workflows(), ids=lambda workflow: workflow["name"])
def test_a_workflow_has_what_github_asks_for(workflow: dict[str, Any]) -> None:
    assert workflow.keys() <= {"name", "on", "permissions", "concurrency", "env", "jobs"}
    assert workflow.keys() >= {"on", "jobs", "permissions"}
    for job in workflow["jobs"].values():
        assert job.keys() <= {
            "runs-on",
            "env",
            "services",
            "steps",
            "needs",
            "if",
            "timeout-minutes",
        }
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/x@v1"))
            assert step.keys() <= {"uses", "run", "with", "if", "env", "name"}
