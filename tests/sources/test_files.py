"""CSV and Parquet files as tables: which table is which file, what is guessed, what can't be
read."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import select, text

from sanityd import pipeline
from sanityd.clock import now
from sanityd.errors import CheckError, RuleError, SourceError
from sanityd.model import Outcome, Run
from sanityd.rules.load import load
from sanityd.sources import raw_sql
from sanityd.sources.base import Snapshot, Source, SourceSettings
from sanityd.sources.catalog import Family
from sanityd.sources.engine_snapshot import EngineSnapshot
from sanityd.sources.open import open_source

Rows = list[tuple[Any, ...]]


@contextmanager
def opened(folder: Path, *patterns: str) -> Iterator[Snapshot]:
    source = open_source(
        SourceSettings("exports", "files://", files=patterns or ("*.csv",), folder=folder)
    )
    with source.snapshot() as snapshot:
        yield snapshot
    source.close()


def ask(snapshot: Snapshot, sql: str) -> Rows:
    return [tuple(row) for row in snapshot.rows(select(snapshot.query(sql)))]


def read(folder: Path, content: str, sql: str = "SELECT * FROM t") -> Rows:
    (folder / "t.csv").write_bytes(content.encode())
    with opened(folder) as snapshot:
        return ask(snapshot, sql)


def parquet(path: Path, sql: str) -> None:
    duckdb.sql(f"COPY ({sql}) TO '{path}' (FORMAT parquet)")


def look(folder: Path, files: str, rule: str) -> Run:
    """What a rule finds, by the real route."""
    path = folder / "rules.yaml"
    path.write_text(f"sources:\n  exports: {{files: {files}}}\nrules:\n  the-rule: {{{rule}}}\n")
    rules = load(path, {})
    [run] = pipeline.evaluate(rules, list(rules.rules.values()), now())
    return run


def test_each_file_is_a_table_beside_the_rules(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    parquet(
        tmp_path / "data" / "people.parquet", "SELECT range AS id, range % 3 AS grade FROM range(5)"
    )
    parquet(tmp_path / "data" / "mails.parquet", "SELECT 1 AS person_id UNION ALL SELECT 2")
    run = look(
        tmp_path,
        "data/*.parquet",
        "table: exports.people, has: {in: mails, on: {id: person_id}}, key: id",
    )
    assert (run.outcome, [violation.key["id"] for violation in run.tracked]) == (
        Outcome.COMPLETE,
        [0, 3, 4],
    )


def test_several_patterns_and_suffixes_make_one_source(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    (tmp_path / "b.x.tsv").write_text("id\tn\n2\t3\n")
    duckdb.sql(f"COPY (SELECT 4 AS id) TO '{tmp_path}/it''s c.csv.gz' (HEADER)")
    parquet(tmp_path / "Upper.PARQUET", "SELECT 5 AS id")
    with opened(tmp_path, "*.csv", "*.tsv", "*.gz", str(tmp_path / "*.PARQUET")) as snapshot:
        assert [name for _, name in snapshot.all_tables()] == ["Upper", "a", "b.x", "it's c"]
        assert ask(snapshot, 'SELECT id FROM "it\'s c" UNION SELECT id FROM "b.x" ORDER BY 1') == [
            (2,),
            (4,),
        ]
        assert snapshot.table("upper").columns["id"].family is Family.INTEGER


def test_files_are_looked_for_at_each_snapshot(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    source = open_source(SourceSettings("exports", "files://", files=("*.csv",), folder=tmp_path))
    with source.snapshot() as snapshot:
        assert snapshot.all_tables() == [(None, "a")]
    (tmp_path / "b.csv").write_text("id\n1\n")
    with source.snapshot() as snapshot:
        assert snapshot.all_tables() == [(None, "a"), (None, "b")]


def test_a_pattern_without_files_is_told_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    with (
        pytest.raises(SourceError, match=r"no file matches `data/\*\.csv`$"),
        opened(tmp_path, "a.csv", "data/*.csv"),
    ):
        pass


@pytest.mark.parametrize("other", ["t.parquet", "T.csv", "more/t.csv"])
def test_two_files_can_not_be_one_table(tmp_path: Path, other: str) -> None:
    (tmp_path / "more").mkdir()
    for name in ("t.csv", other):
        (tmp_path / name).write_text("id\n1\n")
    with (
        pytest.raises(SourceError, match=r"two files that would be the table `[tT]`"),
        opened(tmp_path, "**/*.*"),
    ):
        pass


def test_a_file_that_two_patterns_match_is_one_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id\n1\n")
    with opened(tmp_path, "*.csv", "t.*") as snapshot:
        assert snapshot.all_tables() == [(None, "t")]


@pytest.mark.parametrize("name", ["notes.txt", "t[1].csv", ".csv"])
def test_other_files_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("id\n1\n")
    with (
        pytest.raises(SourceError, match="is no table"),
        opened(tmp_path, name.replace("[1]", "*")),
    ):
        pass


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("id,x\n1,a\n2,\n", [(1, "a"), (2, None)]),
        ("id;x\r\n1;1,5\r\n", [(1, "1,5")]),
        ('id,x\n"1","a ""b"",\nc"\n', [(1, 'a "b",\nc')]),
        ("\ufeffid,x\n#1,é😀\n2,b\n", [("#1", "é😀"), ("2", "b")]),
        ("code\n007\n008\n", [("007",), ("008",)]),
        (
            "id\n12345678901234567890\n12345678901234567891\n",
            [(12345678901234567890,), (12345678901234567891,)],
        ),
        ("price\n1.5\n\n2\n", [(1.5,), (None,), (2.0,)]),
        ("1,2\n3,4\n", [(1, 2), (3, 4)]),
        ("My report\nid,x\n1,a\n", [("id,x",), ("1,a",)]),
        ("id,x\n", []),
    ],
)
def test_a_csv_file_is_read_to_the_letter(tmp_path: Path, content: str, rows: Rows) -> None:
    assert read(tmp_path, content) == rows


def test_types_are_found_in_all_lines(tmp_path: Path) -> None:
    lines = "".join(f"{n},{n}\n" for n in range(30_000))
    assert read(tmp_path, f"id,x\n{lines}7,late\n", "SELECT x FROM t WHERE id = 7") == [
        ("7",),
        ("late",),
    ]


@pytest.mark.parametrize("content", ["id,x\n1,a\n2,b,secret\n3,c\n", 'id,x\n1,"secret\n2,b\n'])
def test_a_broken_csv_file_is_an_error_of_its_rules_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "whole.csv").write_text("id\n1\n")
    (tmp_path / "t.csv").write_text(content)
    uses: list[Callable[[Snapshot], object]] = [
        lambda view: view.table("t"),
        lambda view: ask(view, "SELECT * FROM t"),
    ]
    with opened(tmp_path) as snapshot:
        assert ask(snapshot, "SELECT * FROM whole") == [(1,)]
        for use in uses:
            with pytest.raises(
                CheckError, match=r"`t\.csv` can't be read as CSV: its lines"
            ) as error:
                use(snapshot)
            assert "secret" not in f"{error.value}{error.value.hint}"


def test_a_line_that_breaks_late_is_told_by_its_number(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,x\n" + "1,a\n" * 30_000 + "2,b,secret\n")
    with (
        opened(tmp_path) as snapshot,
        pytest.raises(CheckError, match="line 30002 of the CSV file") as error,
    ):
        ask(snapshot, "SELECT count(x) AS n FROM t")
    assert "secret" not in f"{error.value}{error.value.hint}"


def test_bytes_that_are_no_text_are_an_error_without_them(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("id,x\n1,sécret\n".encode("latin-1"))
    with (
        opened(tmp_path) as snapshot,
        pytest.raises(CheckError, match="line 2 of the CSV file") as error,
    ):
        snapshot.table("t")
        ask(snapshot, "SELECT x FROM t")
    assert "cret" not in f"{error.value}{error.value.hint}"


def test_a_file_that_is_no_parquet_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("Dear diary, this is a secret.")
    with (
        opened(tmp_path, "*.parquet") as snapshot,
        pytest.raises(CheckError, match=r"`t.parquet` can't be") as error,
    ):
        snapshot.table("t")
    assert "secret" not in f"{error.value}{error.value.hint}"
    assert str(tmp_path) not in error.value.message


def test_a_file_that_changes_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id\n1\n")
    with opened(tmp_path) as snapshot:
        assert ask(snapshot, "SELECT * FROM t") == [(1,)]
        (tmp_path / "new").write_text("id\n2\n")
        os.replace(tmp_path / "new", tmp_path / "t.csv")
        with pytest.raises(SourceError, match=r"`t\.csv` of `exports` changed"):
            ask(snapshot, "SELECT * FROM t")


@pytest.mark.parametrize(
    "attack",
    [
        "COPY (SELECT 9 AS id) TO '{}/t.csv' (USE_TMP_FILE false)",
        "FROM read_text('{}/beside.csv')",
        "SELECT * FROM '{}/beside.csv'",
        "SELECT * FROM glob('{}/*')",
        "CREATE TABLE x (a int)",
        "DROP VIEW t",
        "SET allowed_paths = []",
    ],
)
def test_only_the_files_are_reached_and_none_is_written(tmp_path: Path, attack: str) -> None:
    (tmp_path / "t.csv").write_text("id\n1\n")
    (tmp_path / "beside.csv").write_text("id\n2\n")
    with opened(tmp_path, "t.csv") as snapshot:
        assert isinstance(snapshot, EngineSnapshot)
        with pytest.raises(CheckError), snapshot._translate_errors():
            snapshot._connection.execute(text(raw_sql.token(attack.format(tmp_path)))).all()
        assert ask(snapshot, "SELECT * FROM t") == [(1,)]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["beside.csv", "t.csv"]


def test_who_may_write_a_file_could_write(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id\n1\n")
    source: Source = open_source(
        SourceSettings("exports", "files://", files=("*.csv",), folder=tmp_path)
    )
    assert source.can_write()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{url: 'sqlite:///x.db', files: x.csv}", "either `url` or `files`"),
        ("{zone: UTC}", "either `url` or `files`"),
        ("{files: []}", "`files` is empty"),
    ],
)
def test_a_source_is_a_database_or_files(tmp_path: Path, source: str, message: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(f"sources:\n  s: {source}\nrules:\n  r: {{table: s.t, unique: id}}\n")
    with pytest.raises(RuleError, match=message):
        load(path, {})


def test_a_source_without_patterns_is_refused() -> None:
    with pytest.raises(SourceError, match="names no files"):
        open_source(SourceSettings("exports", "files://"))
