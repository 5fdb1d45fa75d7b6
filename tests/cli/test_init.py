"""`sanityd init`: a first rules file that is right as it is."""

import shutil
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import make_url

from sanityd.authoring import starter
from tests.support.project import Project


def test_the_first_file_is_right(project: Project, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").unlink()
    answer = project.run("init")
    assert answer.code == 0
    assert "Wrote rules.yaml, sanityd.schema.json (for your editor) and .env.example." in answer.out
    assert (
        (tmp_path / "rules.yaml")
        .read_text()
        .startswith("# yaml-language-server: $schema=./sanityd.schema.json\n")
    )
    assert (tmp_path / "sanityd.schema.json").read_text() == project.run("schema").out
    assert project.run("lint", APP_DATABASE_URL="sqlite:///app.db").code == 0
    checked = project.run("check", "--dry-run", APP_DATABASE_URL="sqlite:///app.db")
    assert checked.code == 0


def test_what_is_there_is_never_overwritten(project: Project, tmp_path: Path) -> None:
    before = (tmp_path / "rules.yaml").read_text()
    answer = project.run("init")
    assert answer.code == 2
    assert (tmp_path / "rules.yaml").read_text() == before


def test_from_nothing_to_a_first_finding(project: Project, tmp_path: Path) -> None:
    """Two commands, no URL to export, no password on disk, and the broken rows are on the
    screen."""
    (tmp_path / "rules.yaml").unlink()
    project.sql(
        "delete from people where id in (7, 77); create table vacant (id integer primary key)"
    )
    made = project.run("init", "app.db")
    assert made.code == 0, made.err
    assert "3 tables, 1,998 rows read" in made.out
    assert "1 of them does not hold now:\n  ✗ every-person-id-of-mails-exists\n" in made.out
    assert "2 of 1,000 mails have a value in person_id that is in no app.people.id" in made.out
    assert "1 table without a row: app.vacant" in made.out
    assert "  app: sqlite:///app.db\n" in (tmp_path / "rules.yaml").read_text()
    assert (tmp_path / ".env.example").read_text().splitlines()[-1] == "SMTP_URL="
    seen = project.run("check")
    assert seen.code == 1
    assert "id 7 · id 77" in seen.out
    # No mail server is needed to see what it would mail.
    assert "1 message queued, 1 delivered." in seen.out
    assert [path.suffix for path in (tmp_path / "mails").iterdir()] == [".eml"]
    assert project.run("lint", "--connect").code == 0
    # SQLite keeps times as text.
    assert "    within: 1h of created_at\n" in (tmp_path / "rules.yaml").read_text()


@pytest.mark.parametrize("place", ["deep/er/rules.yaml", "rules.yaml"])
def test_a_file_of_duckdb_may_be_named_as_it_is(place: str, tmp_path: Path) -> None:
    with closing(duckdb.connect(str(tmp_path / "shop.duckdb"))) as connection:
        connection.execute(
            "CREATE TABLE orders AS SELECT n AS id, n % 5 AS person_id FROM range(50) AS r(n)"
        )
    project = Project(tmp_path)
    assert project.run("init", "shop.duckdb", "--rules", place).code == 0
    assert "shop.duckdb" in (tmp_path / place).read_text()
    checked = project.run("check", "--dry-run", "--rules", place)
    assert checked.code == 0, checked.err


@pytest.mark.parametrize("database", ["postgres", "mariadb"])
def test_the_url_of_a_server_is_written_nowhere(
    database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Not even of a database without a table, of which nothing can be proposed."""
    url = request.getfixturevalue(database)
    project = Project(tmp_path)
    made = project.run("init", url)
    assert made.code == 0, made.err
    secret = make_url(url).password
    assert secret
    written = [file.read_text() for file in tmp_path.iterdir() if file.is_file()]
    assert not [
        text for text in (*written, made.out, made.err) if secret in text or "127.0.0.1" in text
    ]
    assert "app: ${APP_DATABASE_URL}" in (tmp_path / "rules.yaml").read_text()
    assert "APP_DATABASE_URL=\n" in (tmp_path / ".env.example").read_text()
    assert "export APP_DATABASE_URL=…" in made.out
    assert project.run("check", "--dry-run", APP_DATABASE_URL=url).code == 0
    linted = project.run("lint", "--connect", APP_DATABASE_URL=url)
    assert linted.code == 0, linted.err


def test_a_file_is_named_only_where_its_url_holds_no_secret(tmp_path: Path) -> None:
    (tmp_path / "shop.db").touch()
    url = f"sqlite:///{tmp_path}/shop.db"
    assert starter.source_setting(url, tmp_path) == "sqlite:///shop.db"
    for secret in (
        f"{url}?key=s3cret",
        f"duckdb:///{tmp_path}/shop.db?motherduck_token=t",
        "nonsense",
        f"{url}x",
    ):
        assert starter.source_setting(secret, tmp_path) == "${APP_DATABASE_URL}"


@pytest.mark.parametrize(
    "url", ["wd:t0psecret@db/shop", "//wd:t0psecret@db/shop", "duckdb:///md:t0psecret"]
)
def test_a_password_is_not_printed_when_a_url_is_not_understood(
    project: Project, tmp_path: Path, url: str
) -> None:
    (tmp_path / "rules.yaml").unlink()
    refused = project.run("init", url)
    assert refused.code != 0
    assert "t0psecret" not in refused.out + refused.err
    project.rules(
        f"sources: {{app: '{url}'}}\nrules: {{r: {{table: app.people, not_null: name}}}}\n"
    )
    for words in (("lint",), ("lint", "--connect"), ("check", "--dry-run")):
        refused = project.run(*words)
        assert "t0psecret" not in refused.out + refused.err, words


def test_what_was_not_written_is_not_half_written(project: Project, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").unlink()
    (tmp_path / ".env.example").write_text("MINE=1\n")
    gone = project.run("init", "sqlite:///gone.db")
    assert (gone.code, "Nothing was written." in gone.err, "lint" in gone.err) == (3, True, False)
    assert not (tmp_path / "rules.yaml").exists()
    assert (
        "Wrote rules.yaml and sanityd.schema.json (for your editor).\n"
        in project.run("init", "app.db").out
    )
    assert (tmp_path / ".env.example").read_text() == "MINE=1\n"


def test_a_file_that_is_not_there_or_that_no_url_can_name_is_told(
    project: Project, tmp_path: Path
) -> None:
    """`wh?y.db` as a URL would be the file `wh`."""
    (tmp_path / "rules.yaml").unlink()
    for name in ("wh", "wh?y.db"):
        shutil.copy(tmp_path / "app.db", tmp_path / name)
    for name, said in (
        ("nosuch.db", "there is no file `nosuch.db`"),
        ("wh?y.db", "can't be named in a URL"),
    ):
        answer = project.run("init", name)
        assert (answer.code, said in answer.err) == (2, True), answer.err
    assert not (tmp_path / "rules.yaml").exists()


def test_what_belongs_to_somebody_is_not_overwritten_through_a_link_either(
    project: Project, tmp_path: Path
) -> None:
    (tmp_path / "rules.yaml").unlink()
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "sanityd.schema.json").symlink_to(tmp_path / "precious")
    assert project.run("init", "app.db").code == 0
    assert (tmp_path / "precious").read_text() == "mine"
    (tmp_path / "dangling.yaml").symlink_to(tmp_path / "nowhere")
    assert project.run("init", "app.db", "--rules", "dangling.yaml").code == 2
    answer = project.run("init", "app.db", "--rules", "precious/rules.yaml")
    assert answer.code == 3
    assert "sanityd can't write `precious`" in answer.err


def test_suggesting_twice_for_a_table_without_a_key_adds_nothing(project: Project) -> None:
    project.sql(
        "CREATE TABLE heap (a INT, b TEXT); INSERT INTO heap SELECT 1, 'x' FROM people LIMIT 50"
    )
    assert "Wrote 1 rule" in project.run("suggest", "heap", "--accept").out
    assert "nothing new to propose" in project.run("suggest", "heap", "--accept").out


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("oracle://reader@host/shop", "is of an unknown kind"),
        ("postgresql://reader@host:notaport/shop", "can't be read"),
        ("sqlite:///:memory:", "names no file"),
        (
            "mysql://u:p@127.0.0.1:1/x?connect_timeout=soon",
            "has an option that can't be understood",
        ),
        ("postgresql://u:p@127.0.0.1:1/x?plugin=a", "has an option that can't be understood"),
    ],
)
def test_what_no_database_could_answer_is_a_mistake_of_the_command(
    url: str, said: str, project: Project, tmp_path: Path
) -> None:
    answer = project.run("init", url, "--rules", "new.yaml")
    assert (answer.code, said in answer.err, (tmp_path / "new.yaml").exists()) == (
        2,
        True,
        False,
    ), answer.err


def test_options_of_a_url_that_are_for_others_are_no_warning_of_python(project: Project) -> None:
    answer = project.run("init", "sqlite:///app.db?cache=shared&timeout=5", "--rules", "new.yaml")
    assert (answer.code, answer.err) == (0, "")
