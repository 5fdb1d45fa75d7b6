"""Whatever the acceptance cases say of every kind, a rule test can say, on every database; nothing is left behind."""

from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, inspect

from sanityd.authoring.proving.playing import Workshop
from sanityd.authoring.proving.suite import play, read
from tests.authoring.proving.every_kind import rules_file


@pytest.mark.parametrize("database", ["sqlite", "duckdb", "postgresql", "mariadb"])
def test_examples_find_what_the_acceptance_cases_find(
    database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    # The other databases take ten to a hundred times as long to make a table.
    path, count = rules_file(tmp_path, database, every=2 if database == "sqlite" else 20)
    servers = {"postgresql": "postgres", "mariadb": "mariadb_url"}
    lent: str | None = request.getfixturevalue(servers[database]) if database in servers else None
    before = schemas(lent)
    suite = read(path)
    with Workshop(lent, None if lent else database) as workshop:  # type: ignore[arg-type]  # one of two words
        report = play(suite, workshop, doubting=False)
    wrong = [
        f"{one.case.rule} {one.case.name}: {one.match} {one.run.hint}" for one in report.verdicts if not one.passed
    ]
    assert wrong == []
    assert count == len(report.verdicts) > 8
    assert schemas(lent) == before


def schemas(url: str | None) -> set[str]:
    """The schemas of a server's database (in MariaDB the same as its databases)."""
    if url is None:
        return set()
    engine = create_engine(url, poolclass=NullPool)
    return {name for name in inspect(engine).get_schema_names() if not name.startswith("t_")}
