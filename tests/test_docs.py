"""The documentation is read by the tests: rules load, commands run, links and named tests exist."""

import json
import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from pydantic import BaseModel

from sanityd import plugins
from sanityd.alerts import settings
from sanityd.authoring.reference import manual
from sanityd.authoring.ruletests.runner import CaseRunner
from sanityd.authoring.ruletests.suite import read, run_suite
from sanityd.cli import COMMANDS
from sanityd.rules.cases import CaseSpec
from sanityd.rules.load import load
from sanityd.rules.spec import Defaults, RuleSpec, SourceSpec
from tests import ROOT
from tests.docs import pages
from tests.docs.pages import PAGES
from tests.support.project import RULES, Project

USUAL = settings.Settings()
ENVIRONMENT = {
    "APP_DATABASE_URL": "sqlite:///app.db",
    "LEDGER_DATABASE_URL": "postgresql://nobody@localhost/ledger",
    "SMTP_URL": "smtp://localhost:25",
    "HOOK_URL": "http://localhost",
}


def blocks(language: str, *, titled: bool = False) -> list[tuple[str, str]]:
    """Every fenced block of a language, with the name of its page; those with a title are files of
    pages that run."""
    found = [block for page in PAGES for block in pages.blocks(page, language)]
    return [(block.page.name, block.text) for block in found if titled or not block.title]


@pytest.mark.parametrize(
    ("page", "text"), [block for block in blocks("yaml") if "\nrules:\n" in block[1]]
)
def test_every_rules_file_shown_is_right(page: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(text, encoding="utf-8")
    assert load(tmp_path / "rules.yaml", ENVIRONMENT).rules


def test_the_example_rules_file_is_right() -> None:
    assert len(load(ROOT / "rules.yaml", ENVIRONMENT).rules) == 8


def test_the_rule_tests_shown_pass_and_leave_nothing_unshown(tmp_path: Path) -> None:
    """Those of the example file, the demo, the page on testing rules, and of the README (of its
    first rule)."""
    first, shown = (text for page, text in blocks("yaml") if page == "README.md")
    [page] = (text for page, text in blocks("yaml", titled=True) if page == "test-rules.md")
    files = [
        ROOT / "rules.yaml",
        ROOT / "sanityd" / "authoring" / "demo" / "rules.yaml",
        tmp_path / "readme.yaml",
        tmp_path / "page.yaml",
    ]
    files[2].write_text(f"{first}\n{shown}", encoding="utf-8")
    files[3].write_text(page, encoding="utf-8")
    with CaseRunner() as workshop:
        reports = [run_suite(read(file), workshop) for file in files]
    assert [len(report.verdicts) for report in reports] == [9, 5, 1, 3]
    assert [
        verdict.case.title
        for report in reports
        for verdict in report.verdicts
        if not verdict.passed
    ] == []
    assert [doubt.message for report in reports for doubt in report.gaps] == []


@pytest.mark.parametrize("kind", plugins.kind_names("checks"))
def test_every_example_in_a_manual_is_right(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "_TRUSTED", [])
    examples = re.search(r"```yaml\n(.*?)```", manual.text(kind), re.DOTALL)
    assert examples is not None
    lines = [line for line in examples[1].splitlines() if line.startswith(f"{kind}:")]
    assert lines
    key = "" if plugins.load_kind("checks", kind).needs_table else "    key: account_id\n"
    about = "table: app.t" if plugins.load_kind("checks", kind).needs_table else "source: app"
    rules = "".join(
        f"  r{number}:\n    {about}\n{key}    {line}\n" for number, line in enumerate(lines)
    )
    (tmp_path / "rules.yaml").write_text(
        f"allow: {{python: true}}\nsources: {{app: sqlite:///x.db, ledger: sqlite:///y.db}}\nrules:\n{rules}",
        encoding="utf-8",
    )
    assert len(load(tmp_path / "rules.yaml", {}).rules) == len(lines)


def test_the_reference_of_the_kinds_is_fresh() -> None:
    """`scripts/docs` writes it."""
    assert (ROOT / "docs" / "reference" / "kinds.md").read_text(encoding="utf-8") == manual.page()


def test_the_reference_knows_every_key_and_every_key_is_in_it() -> None:
    text = (ROOT / "docs" / "reference" / "rules.md").read_text(encoding="utf-8")
    inner: list[type[BaseModel]] = [
        type(section) for _, section in USUAL if isinstance(section, BaseModel)
    ]
    models: list[type[BaseModel]] = [
        SourceSpec,
        Defaults,
        RuleSpec,
        CaseSpec,
        settings.Settings,
        *inner,
    ]
    for model in models:
        keys = [field.alias or name for name, field in model.model_fields.items()]
        missing = [name for name in keys if not re.search(rf"[`{{ ,]{name}[`:,}}]", text)]
        assert missing == [], model.__name__


def test_the_alerts_shown_are_the_defaults(tmp_path: Path) -> None:
    """But for the words that have none: zones, quiet hours, the audit, owners and tags."""
    text = (ROOT / "docs" / "reference" / "rules.md").read_text(encoding="utf-8")
    [shown] = [
        block
        for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
        if block.startswith("alerts:")
    ]
    channels = "channels: {payments-mail: {log: info}, privacy-mail: {log: info}}\n"
    rules = "sources: {app: sqlite:///x.db}\nrules: {r: {table: app.t, not_null: a}}\n"
    (tmp_path / "rules.yaml").write_text(shown + channels + rules, encoding="utf-8")
    read = load(tmp_path / "rules.yaml", {}).alerts
    usual: dict[str, Any] = {
        "zone": ZoneInfo("UTC"),
        "keep_audit": None,
        "quiet_hours": settings.QuietHours(),
        "owners": {},
        "tags": {},
    }
    assert read.quiet_hours.start is not None
    assert (
        read.model_copy(update={**usual, "digest": read.digest.model_copy(update={"zone": None})})
        == USUAL
    )


def test_every_link_and_every_file_named_exists() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", text):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
        for named in re.findall(r"`((?:tests|scripts|docs|sanityd)/[A-Za-z0-9_/.]+)`", text):
            assert (ROOT / named).exists(), f"{page.name} names {named}"


def test_the_commands_of_the_page_on_acting_run_in_their_order(
    project: Project, lose_mails: Callable[[], None]
) -> None:
    text = (ROOT / "docs" / "howto" / "acting.md").read_text(encoding="utf-8")
    commands = [shlex.split(line)[1:] for line in re.findall(r"`(sanityd [^`]* [^`]*)`", text)]
    assert len(commands) > 10
    remedy = "    tags: [mail]\n    remedy: {command: ['true', '{key.id}']}\n"
    project.rules("allow: {commands: true}\n" + RULES.replace("    tags: [mail]\n", remedy))
    lose_mails()
    project.run("check")
    for words in commands:
        if words[:2] == ["noise", "undo"]:
            standing = json.dumps({"steps": 1, "since": datetime.now(UTC).isoformat()})
            project.state(
                f"INSERT INTO noise VALUES ('{words[2]}', '{standing}', '2026-11-02 00:00:00')"
            )
        answer = project.run(*words)
        assert answer.code == 0, f"{words}: {answer.out}{answer.err}"


def test_every_command_named_exists() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        code = "\n".join(re.findall(r"^```.*?^```|`[^`\n]+`", text, re.MULTILINE | re.DOTALL))
        for name in re.findall(r"(?:^|`)(?:\$ )?sanityd ([a-z]+)", code, re.MULTILINE):
            assert name in COMMANDS, f"{page.name} names `sanityd {name}`"


def test_the_commands_of_the_readme_and_of_planning_run_in_their_order(
    project: Project, tmp_path: Path
) -> None:
    """All but the daemon and acknowledging, which have tests of their own, and the installation."""
    (tmp_path / "rules.yaml").unlink()
    commands = [
        shlex.split(line, comments=True)[1:]
        for _, block in blocks("sh")
        for line in block.splitlines()
        if line.startswith("sanityd ") and "RULE" in block
    ]
    assert [words[0] for words in commands] == [
        *("init", "suggest", "schema", "lint", "try", "explain"),
        *("check", "check", "serve", "status", "show", "history", "ack", "noise"),
        *("explain", "explain", "explain"),
    ]
    for words in commands:
        if words[0] not in ("serve", "ack"):
            named = ["no-duplicate-emails" if word == "RULE" else word for word in words]
            answer = project.run(*named, **ENVIRONMENT)
            assert answer.code == 0, f"sanityd {' '.join(named)}: {answer.out}{answer.err}"


def test_the_json_shown_has_the_keys_that_check_prints(project: Project) -> None:
    import json

    [shown] = (text for page, text in blocks("json") if page == "json.md")
    printed = json.loads(project.run("check", "--dry-run", "--format", "json").out)
    documented = json.loads(shown)
    assert set(printed) == set(documented)
    assert set(printed["rules"][0]) == set(documented["rules"][0])
    assert set(printed["summary"]) == set(documented["summary"])


def test_the_demo_rules_are_plain_yaml_too() -> None:
    """Nothing in our dialect of YAML means something else to other tools."""
    text = (ROOT / "sanityd" / "authoring" / "demo" / "rules.yaml").read_text(encoding="utf-8")
    assert set(yaml.safe_load(text)) == {"sources", "channels", "defaults", "rules", "tests"}
