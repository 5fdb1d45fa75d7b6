"""The databases on which the cases of the kinds are played: one per database and worker."""

from collections.abc import Iterator

import pytest

from tests.acceptance import Stage
from tests.support.databases import fresh_database
from tests.support.services import owner


@pytest.fixture(scope="session")
def _sqlite(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('stage') / 'stage.db'}"


@pytest.fixture(scope="session")
def _duckdb(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"duckdb:///{tmp_path_factory.mktemp('stage') / 'stage.duckdb'}"


@pytest.fixture(scope="session")
def _postgresql(postgres_url: str) -> Iterator[str]:
    with fresh_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="session")
def _mariadb(mariadb_url: str) -> Iterator[str]:
    with fresh_database(mariadb_url) as url:
        yield url


@pytest.fixture(scope="session")
def _stages() -> Iterator[dict[str, Stage]]:
    """The databases in use, by name."""
    stages: dict[str, Stage] = {}
    yield stages
    for stage in stages.values():
        stage.engine.dispose()


@pytest.fixture
def stage(
    request: pytest.FixtureRequest,
    _stages: dict[str, Stage],
    tmp_path_factory: pytest.TempPathFactory,
) -> Stage:
    """The database of the kind asked for."""
    name: str = request.param
    if name not in _stages:
        url: str = request.getfixturevalue(f"_{name}")
        folder = tmp_path_factory.mktemp("rules")
        _stages[name] = Stage(name, url, owner(url), folder)
    return _stages[name]
