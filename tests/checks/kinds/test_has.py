"""`has` apart from the cases of `tests/acceptance`."""

import json

from tests.support.project import Project


def test_sqlite_reads_a_table_without_an_index_once(project: Project) -> None:
    """And says the same of it as of one with an index: also with NULLs, of two columns, picked by
    `where`."""
    project.sql(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT, y INT); CREATE TABLE b (x TEXT, y INT, ok INT);"
        "INSERT INTO a VALUES (1, 'k', 1), (2, 'K', 1), (3, NULL, 1), (4, 'k', 2), (5, 'm', 3);"
        "INSERT INTO b VALUES ('k', 1, 1), (NULL, 2, 1), ('k', NULL, 1), ('m', 3, 0)"
    )
    project.rules(
        "sources: {app: sqlite:///app.db}\nrules:\n"
        "  some: {table: app.a, has: {in: app.b, on: {x: x, y: y}, where: ok = 1}}\n"
        "  none: {table: app.a, has: {in: app.b, on: {x: x}, count: none}}\n"
        "  there: {table: app.a, references: {x: b.x}}\n"
    )
    found = []
    for make in ("", "CREATE INDEX i ON b (x COLLATE NOCASE)", "CREATE INDEX j ON b (x, y)"):
        project.sql(make)
        report = json.loads(project.run("check", "--dry-run", "--format", "json").out)
        asked = project.run("explain", "--sql").out
        found.append([[key["id"] for key in rule["sample"]] for rule in report["rules"]])
        # One that ignores case doesn't find what is compared to the letter.
        assert ("EXISTS" in asked) == ("INDEX j" in make)
    assert found == [[[2, 4, 5], [1, 4, 5], [2]]] * 3
