"""Rules are inserted below the others; the rest of the file stays the same, byte for byte."""

import os
from pathlib import Path

import pytest

from sanityd.authoring import yaml_insert
from sanityd.authoring.yaml_insert import InsertionError
from sanityd.rules.load import load

NEW = {
    "mails-is-not-empty": [
        "# row_count: 3 rows",
        "mails-is-not-empty:",
        "  table: app.mails",
        "  row_count: {min: 1}",
    ],
    "people-have-ids": ["people-have-ids:", "  table: app.people", "  not_null: id"],
}
HEAD = "sources: {app: sqlite:///app.db}\n"
BLOCK = (
    "  # row_count: 3 rows\n  mails-is-not-empty:\n    table: app.mails\n    row_count: {min: 1}\n"
)
BLOCK += "\n  people-have-ids:\n    table: app.people\n    not_null: id\n"
OLD = "  old:   # a comment\n    table: app.people\n    not_null: [ a,  b ]\n"


def indented(by: int) -> str:
    return "".join(
        f"{' ' * by}{line}" if line.strip() else line for line in BLOCK.splitlines(keepends=True)
    )


#: The file before, and after; `|` stands for where the rules go.
FILES = {
    "at the end": f"{HEAD}rules:\n{OLD}|\n{BLOCK}",
    "no final newline": f"{HEAD}rules:\n{OLD.rstrip()}|\n\n{BLOCK}",
    "before another section": f"{HEAD}rules:\n{OLD}|\n{BLOCK}|"
    "\n# of channels\nchannels:\n  log: {log: info}\n",
    "deeper": f"{HEAD}rules:\n{OLD.replace('  ', '      ')}|\n{indented(4)}",
    "comments behind": f"{HEAD}rules:\n{OLD}\n    # the last word\n|\n{BLOCK}|\n\n# the end\n",
    "a comment at the margin": f"{HEAD}rules:\n{OLD}# who looks at it\n"
    f"    severity: critical\n|\n{BLOCK}",
    "empty": f"{HEAD}rules:|\n{BLOCK}",
    "empty, with a comment": f"{HEAD}rules:   # none yet|\n{BLOCK}",
    "empty, before a section": f"{HEAD}rules:\n|{BLOCK}|channels: {{log: {{log: info}}}}\n",
    "one blank": f"{HEAD}rules:\n old:\n  table: app.people\n  not_null: a\n|\n"
    + "".join(f" {line[2:]}" if line.strip() else line for line in BLOCK.splitlines(keepends=True)),
    "a text of several lines": f"{HEAD}rules:\n  old:\n    source: app\n    key: id\n    query: |\n"
    f"      select 1 as id\n\n      where 1 = 0\n@\n{BLOCK}@channels: {{}}\n",
    "a byte order mark": f"\ufeffrules:\n|{BLOCK}|state: sqlite:///s.db\n{HEAD}",
}


def written(folder: Path, before: str) -> str:
    file = folder / "rules.yaml"
    file.write_bytes(before.encode())
    assert yaml_insert.insert(file, NEW, {}) == file
    return file.read_bytes().decode()


@pytest.mark.parametrize("marked", FILES.values(), ids=FILES)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_rules_are_added_and_nothing_else_changes(marked: str, end: str, tmp_path: Path) -> None:
    mark = "@" if "@" in marked else "|"
    before, new, *rest = marked.replace("\n", end).split(mark)
    assert written(tmp_path, "".join([before, *rest])) == "".join([before, new, *rest])
    assert load(tmp_path / "rules.yaml", {}).rules.keys() >= NEW.keys()


@pytest.mark.parametrize("value", ["{}", "{ }", "~", "null", "  {}"])
def test_braces_with_nothing_in_them_go(value: str, tmp_path: Path) -> None:
    assert written(tmp_path, f"{HEAD}rules: {value}  # none\n") == f"{HEAD}rules:  # none\n{BLOCK}"


REFUSED = {
    "in braces": f"{HEAD}rules: {{old: {{table: app.people, not_null: a}}}}\n",
    "in braces over lines": f"{HEAD}rules: {{\n  old: {{table: app.people, not_null: a}}\n  }}\n",
    "all in braces": "{sources: {app: sqlite:///app.db},"
    " rules: {old: {table: app.people, not_null: a}}}\n",
    "there already": f"{HEAD}rules:\n{OLD.replace('old', 'people-have-ids')}",
    "no rules at all": HEAD,
    "a text that keeps its end": f"{HEAD}rules:\n  old:\n    source: app\n    key: id\n"
    "    query: |+\n      select 1 as id\n\n\n\n",
}


@pytest.mark.parametrize("before", REFUSED.values(), ids=REFUSED)
def test_what_can_not_be_written_well_is_refused_in_words(before: str, tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(before, encoding="utf-8")
    with pytest.raises(InsertionError) as refusal:
        yaml_insert.insert(file, NEW, {})
    assert "nothing was written" in refusal.value.message
    assert file.read_text(encoding="utf-8") == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_rule_that_is_wrong_is_not_written(tmp_path: Path) -> None:
    from sanityd.errors import RuleError

    file = tmp_path / "rules.yaml"
    file.write_text(f"{HEAD}rules:\n{OLD}", encoding="utf-8")
    with pytest.raises(RuleError):
        yaml_insert.insert(file, {"bad": ["bad:", "  table: app.people", "  not_nul: a"]}, {})
    assert file.read_text(encoding="utf-8") == f"{HEAD}rules:\n{OLD}"


def test_in_a_folder_they_go_where_the_last_rules_are(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"{HEAD}rules:\n{OLD}", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("channels: {log: {log: info}}\n", encoding="utf-8")
    assert yaml_insert.insert(tmp_path, NEW, {}) == tmp_path / "a.yaml"
    assert (tmp_path / "b.yaml").read_text() == "channels: {log: {log: info}}\n"
    assert load(tmp_path, {}).rules.keys() == {"old", *NEW}


def test_rights_and_links_stay_and_a_file_that_changed_meanwhile_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tmp_path / "real.yaml"
    real.write_text(f"{HEAD}rules:\n{OLD}", encoding="utf-8")
    real.chmod(0o640)
    (tmp_path / "rules.yaml").symlink_to(real)
    yaml_insert.insert(tmp_path / "rules.yaml", {"people-have-ids": NEW["people-have-ids"]}, {})
    assert (tmp_path / "rules.yaml").is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert "people-have-ids" in real.read_text(encoding="utf-8")
    plan = yaml_insert.plan

    def slow(*words: object) -> yaml_insert.Edit:
        edit = plan(*words)  # type: ignore[arg-type]
        os.truncate(real, 0)
        return edit

    monkeypatch.setattr(yaml_insert, "plan", slow)
    with pytest.raises(InsertionError, match="changed meanwhile"):
        yaml_insert.insert(
            tmp_path / "rules.yaml", {"mails-is-not-empty": NEW["mails-is-not-empty"]}, {}
        )
    assert real.read_text(encoding="utf-8") == ""
