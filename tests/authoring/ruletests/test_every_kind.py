"""Whatever the acceptance cases say of every kind, a rule test can say, on every database; nothing
is left behind."""

from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, inspect

from sanityd.authoring.ruletests.runner import CaseRunner
from sanityd.authoring.ruletests.suite import read, run_suite
from tests.authoring.ruletests.every_kind import rules_file


@pytest.mark.parametrize("database", ["sqlite", "duckdb", "postgresql", "mariadb"])
def test_examples_find_what_the_acceptance_cases_find(
    database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    # The other databases take ten to a hundred times as long to make a table.
    path, count = rules_file(tmp_path, database, every=2 if database == "sqlite" else 20)
    servers = {"postgresql": "postgres", "mariadb": "mariadb_url"}
    lent: str | None = request.getfixturevalue(servers[database]) if database in servers else None
    suite = read(path)
    with CaseRunner(lent, None if lent else database) as runner:  # type: ignore[arg-type]  # one of two words
        report = run_suite(suite, runner, find_gaps=False)
        # Other tests may use the same server.
        schema_prefix = getattr(runner._lent, "_token", "nobody")
    wrong = [
        f"{verdict.case.rule} {verdict.case.name}: {verdict.match} {verdict.run.hint}"
        for verdict in report.verdicts
        if not verdict.passed
    ]
    assert wrong == []
    assert count == len(report.verdicts) > 8
    assert [name for name in schemas(lent) if name.startswith(schema_prefix)] == []


def schemas(url: str | None) -> list[str]:
    """The schemas of a server's database (in MariaDB the same as its databases)."""
    return [] if url is None else inspect(create_engine(url, poolclass=NullPool)).get_schema_names()
