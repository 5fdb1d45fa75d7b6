"""While the rules file has errors, what needs only the store works with the rules as they were
adopted last; what needs the file is refused."""

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from sanityd.cli import root
from tests.support.project import RULES, Project

RULE = "every-person-has-a-welcome-mail"
TYPO = RULES.replace("    tags: [mail]", "    tgas: [mail]")
SYNTAX = 'sources: {app: "sqlite:///app.db\n' + RULES
STORE_COMMANDS = [
    ["status"],
    ["show", RULE],
    ["history"],
    ["ack", RULE, "--reason", "x"],
    ["ack", RULE, "--end", "--reason", "x"],
    ["snooze", RULE, "--for", "1h", "--reason", "x"],
    ["accept", RULE, "--row", "id=7", "--reason", "x"],
    ["close", RULE, "--as", "fixed", "--reason", "x"],
    ["silence", RULE, "--for", "1h", "--reason", "x"],
    ["silence", "--list"],
    ["noise"],
    ["noise", "explain", RULE],
]
FILE_COMMANDS = [
    ["check"],
    ["lint"],
    ["try", RULE],
    ["test"],
    ["explain", RULE],
    ["suggest", "--accept"],
    ["noise", "replay"],
]


@pytest.fixture
def broken(project: Project, lose_mails: Callable[[], None]) -> Project:
    """Three people have no welcome mail, which was recorded."""
    lose_mails()
    assert project.run("check").code == 3  # no mail server answers
    return project


@pytest.mark.parametrize(
    ("file", "line"),
    [
        (TYPO, "rules.yaml:15:5: error: unknown key `tgas` in rule"),
        (SYNTAX, "rules.yaml:1:10: error: "),
        (None, "rules.yaml: error: there is no such file"),
    ],
)
def test_commands_that_need_only_the_store_use_the_rules_read_last(
    broken: Project, file: str | None, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(broken.folder)
    (broken.folder / "rules.yaml").unlink()
    if file is not None:
        broken.rules(file)
    for words in STORE_COMMANDS:
        answer = CliRunner().invoke(root, words)
        assert (answer.exit_code, answer.stderr) == (0, ""), words
        first, _, rest = answer.stdout.partition("\n")
        assert first.startswith(line)
        assert "; the rules read last on 20" in first
        assert first.endswith("are used; see `sanityd lint`")
        assert rest, words
    shown = broken.run("show", RULE).out
    assert f"{RULE}   (rules.yaml:11)" in shown
    assert "open, error, 2 rows" in shown


@pytest.mark.parametrize("words", FILE_COMMANDS, ids=lambda words: words[0])
def test_commands_that_need_the_file_are_refused(project: Project, words: list[str]) -> None:
    project.rules(TYPO)
    answer = project.run(*words)
    assert answer.code == 2
    assert "rules.yaml:15:5: error: unknown key `tgas`" in answer.out + answer.err


def test_a_machine_format_has_the_line_on_stderr(broken: Project) -> None:
    broken.rules(TYPO)
    answer = broken.run("history", "--format", "json")
    assert json.loads(answer.out)
    assert answer.err.startswith("rules.yaml:15:5: error: ")


def test_a_folder_of_rules_is_read_as_it_was(
    project: Project, lose_mails: Callable[[], None]
) -> None:
    lose_mails()
    rules = project.folder / "rules"
    rules.mkdir()
    whole = RULES.replace("sqlite:///app.db", "sqlite:///../app.db")
    sections, _, people = whole.partition("rules:\n")
    (rules / "b-sources.yaml").write_text("name: shop\n" + sections)
    (rules / "a-people.yaml").write_text("rules:\n" + people)
    store = {"SANITYD_STATE": f"sqlite:///{project.folder}/elsewhere.db"}
    assert project.run("check", "--rules", "rules", **store).code == 3
    (rules / "a-people.yaml").write_text('rules: "\n')
    answer = project.run("show", RULE, "--rules", "rules", **store)
    assert answer.out.startswith("rules/a-people.yaml:1:8: error: ")
    assert "3 rows" in answer.out
    for file in rules.iterdir():
        file.unlink()
    answer = project.run("status", "--rules", "rules", **store)
    assert answer.out.startswith("rules: error: there is no rules file in `rules`")
    assert RULE in answer.out


def test_without_a_store_there_are_only_the_errors_of_the_file(project: Project) -> None:
    project.rules(TYPO)
    for words in (["status"], ["ack", RULE, "--reason", "x"]):
        answer = project.run(*words)
        assert (answer.code, answer.out) == (2, "")
        assert "unknown key `tgas`" in answer.err
    elsewhere = project.run("status", SANITYD_STATE="sqlite:///new.db")
    assert elsewhere.code == 2
    assert sorted(path.name for path in project.folder.iterdir()) == ["app.db", "rules.yaml"]


def test_the_store_of_the_file_is_found_though_another_part_of_it_is_wrong(
    project: Project, lose_mails: Callable[[], None]
) -> None:
    lose_mails()
    elsewhere = "state: sqlite:///elsewhere.db\nname: shop\n" + RULES
    project.rules(elsewhere)
    assert project.run("check").code == 3
    for wrong in ("\n  x: [", "\n  x: {table: app.people, uniqe: id}\n"):
        project.rules(elsewhere + wrong)
        assert "3 rows" in project.run("show", RULE).out
    project.rules("name: another\n" + RULES + "\n  x: [")
    assert project.run("status").code == 2


def test_no_password_and_no_url_is_stored(project: Project) -> None:
    project.rules(
        RULES.replace("${SMTP_URL:-smtp://127.0.0.1:1}", "smtp://me:hunter1@127.0.0.1:1")
        .replace(
            "channels:\n",
            "channels:\n"
            "  hook: {webhook: 'https://127.0.0.1:1/hunter2', secret: hunter3,\n"
            "    headers: {Authorization: Bearer hunter4}}\n",
        )
        .replace(
            "sources:\n",
            "sources:\n  old: postgresql://me:hunter5@127.0.0.1:1/db?options=hunter6\n",
        )
        .replace(
            "    tags: [mail]", "    tags: [mail]\n    fix: https://me:hunter7@wiki/?token=hunter8"
        )
        + "# hunter9\n"
    )
    project.run("check")
    [(content,)] = project.state("SELECT content FROM adopted_rules")
    assert "hunter" not in content
    assert RULE in content
    project.rules("x")
    assert "notifies" in project.run("show", RULE).out


def test_each_revision_is_stored_once(broken: Project) -> None:
    query = "SELECT revision, adopted_at FROM adopted_rules"
    [first] = broken.state(query)
    broken.run("check")
    assert broken.state(query) == [first]
    broken.rules(RULES + "\n")
    broken.run("check")
    [second] = broken.state(query)
    assert second[0] != first[0]
    assert second[1] > first[1]
