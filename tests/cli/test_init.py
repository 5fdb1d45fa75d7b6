"""`sanityd init`: a first rules file that is right as it is."""

from contextlib import closing
from pathlib import Path

import duckdb

from tests.project import Project


def test_the_first_file_is_right(project: Project, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").unlink()
    answer = project.run("init")
    assert answer.code == 0
    assert "Wrote rules.yaml, and sanityd.schema.json for your editor." in answer.out
    assert (tmp_path / "rules.yaml").read_text().startswith("# yaml-language-server: $schema=./sanityd.schema.json\n")
    assert (tmp_path / "sanityd.schema.json").read_text() == project.run("schema").out
    assert project.run("lint", APP_DATABASE_URL="sqlite:///app.db").code == 0
    checked = project.run("check", "--dry-run", APP_DATABASE_URL="sqlite:///app.db")
    assert checked.code == 0


def test_what_is_there_is_never_overwritten(project: Project, tmp_path: Path) -> None:
    before = (tmp_path / "rules.yaml").read_text()
    answer = project.run("init")
    assert answer.code == 2
    assert (tmp_path / "rules.yaml").read_text() == before


def test_rules_are_proposed_from_the_tables(project: Project, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").unlink()
    project.sql('create table "odd name" (id integer primary key, person_id int, "e-mail" text)')
    url = f"sqlite:///{tmp_path}/app.db"
    assert project.run("init", url).code == 0
    text = (tmp_path / "rules.yaml").read_text()
    assert url not in text
    for rule in ("no-duplicate-email-in-people", "every-person-id-of-mails-exists", "odd-name-is-not-empty"):
        assert f"  {rule}:\n" in text
    answer = project.run("check", "--dry-run", APP_DATABASE_URL=url)
    assert answer.code == 0
    assert "!  odd-name-is-not-empty" in answer.out


def test_a_file_of_duckdb_may_be_named_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "shop.duckdb"
    with closing(duckdb.connect(str(file))) as connection:
        connection.execute("CREATE TABLE orders (id int PRIMARY KEY, person_id int)")
    made = Project(tmp_path).run("init", "shop.duckdb")
    assert f"export APP_DATABASE_URL=duckdb:///{file}" in made.out
    assert "app.orders" in (tmp_path / "rules.yaml").read_text()


def test_a_file_of_sqlite_may_be_named_as_it_is(project: Project, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").unlink()
    answer = project.run("init", "app.db")
    assert answer.code == 0, answer.err
    url = f"sqlite:///{tmp_path / 'app.db'}"
    assert f"export APP_DATABASE_URL={url}" in answer.out
    assert project.run("lint", "--connect", APP_DATABASE_URL=url, SMTP_URL="smtp://127.0.0.1:1").code == 0
