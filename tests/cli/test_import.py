"""`sanityd import` and `sanityd export`: a rules file from other tools' checks, and back to a
contract."""

from pathlib import Path

from tests.support.project import Project

SCHEMA = """\
models:
  - name: people
    columns:
      - name: email
        tests: [unique, not_null, my_own]
"""


def test_an_import_prints_a_file_that_is_right_and_tells_what_is_left(
    project: Project, tmp_path: Path
) -> None:
    (tmp_path / "schema.yml").write_text(SCHEMA, encoding="utf-8")
    answer = project.run("import", "dbt", "schema.yml", "--source", "shop")
    assert answer.code == 0
    assert answer.err.splitlines() == [
        "2 of 3 checks imported; 1 can't be:",
        "  schema.yml:5  my_own on people.email: what it checks is in a macro of the project",
        "2 rules notify nobody: add `channels:`, and set who is notified, as in `defaults: {notify: [team]}`",
    ]
    project.rules(answer.out)
    assert (
        project.run("lint", SHOP_DATABASE_URL="sqlite:///app.db").out
        == "rules.yaml: 2 rules, no mistakes.\n"
    )
    assert project.run("check", "--dry-run", SHOP_DATABASE_URL="sqlite:///app.db").code == 0


def test_of_a_folder_all_yaml_files_are_read_once(project: Project, tmp_path: Path) -> None:
    """Its SQL are models, not tests."""
    for name in ("a/b/one.yml", "a/two.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(SCHEMA.replace("people", Path(name).stem), encoding="utf-8")
    (tmp_path / "a" / "model.sql").write_text("select 1 as id", encoding="utf-8")
    (tmp_path / "test.sql").write_text(
        "select id from {{ ref('one') }} where id < 0", encoding="utf-8"
    )
    answer = project.run("import", "dbt", "a", "a/two.yaml", "test.sql")
    assert answer.err.startswith("5 of 7 checks imported; 2 can't be:\n  a/b/one.yml:5 ")
    assert "query: select id from one where id < 0" in answer.out


def test_what_is_there_is_never_overwritten(project: Project, tmp_path: Path) -> None:
    (tmp_path / "schema.yml").write_text(SCHEMA, encoding="utf-8")
    first = project.run("import", "dbt", "schema.yml", "--output", "new/rules.yaml")
    assert (first.code, first.out) == (0, "")
    text = (tmp_path / "new" / "rules.yaml").read_text(encoding="utf-8")
    assert "my_own on people.email" in text
    again = project.run("import", "dbt", "schema.yml", "--output", "new/rules.yaml")
    assert again.code == 2
    assert "exists already" in again.err
    assert (tmp_path / "new" / "rules.yaml").read_text(encoding="utf-8") == text


def test_a_file_that_can_not_be_read_is_told_with_its_place(
    project: Project, tmp_path: Path
) -> None:
    (tmp_path / "checks.yml").write_text(
        "checks for people:\n  - row_count > 0\n - x\n", encoding="utf-8"
    )
    answer = project.run("import", "soda", "checks.yml")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("checks.yml:3:2: error: this is not YAML")
    missing = project.run("import", "soda", "nothing.yml")
    assert missing.code == 2
    assert missing.err.startswith(
        "nothing.yml: error: the file can't be read (No such file or directory)"
    )


def test_a_file_of_which_nothing_can_be_imported_says_why(project: Project, tmp_path: Path) -> None:
    (tmp_path / "checks.yml").write_text(
        "checks for people:\n  - row_count > ${LEAST}\n", encoding="utf-8"
    )
    answer = project.run("import", "soda", "checks.yml")
    assert (answer.code, answer.out) == (2, "")
    assert "checks.yml:2" in answer.err
    assert "nothing can be imported; nothing was written" in answer.err


def test_rules_become_a_contract_and_rules_again(project: Project, tmp_path: Path) -> None:
    wrote = project.run("export", "odcs", "--output", "contract.yaml")
    assert (wrote.code, wrote.out) == (0, "")
    assert project.run("export", "odcs", "--output", "contract.yaml").code == 2
    text = (tmp_path / "contract.yaml").read_text(encoding="utf-8")
    assert "sqlite:" not in text
    assert "smtp" not in text
    answer = project.run("import", "odcs", "contract.yaml")
    assert answer.code == 0
    assert answer.err.splitlines() == [
        "2 of 2 checks imported",
        "the kind and address of `team` are not in these files: write them below `channels:`",
    ]
    assert answer.out.count("\n    notify: [team]\n") == 2
    assert "\n  team: {log: info}\n" in answer.out
    project.rules(answer.out)
    assert project.run("check", "--dry-run", APP_DATABASE_URL="sqlite:///app.db").code == 0
