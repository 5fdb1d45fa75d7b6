"""The databases on which the cases of the kinds are played: one per database and worker, emptied
after each case."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from tests.acceptance import Stage
from tests.conftest import fresh_database


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


@pytest.fixture
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """An empty database of the kind asked for."""
    url: str = request.getfixturevalue(f"_{request.param}")
    engine = create_engine(url)
    made = Stage(request.param, url, engine, tmp_path)
    try:
        yield made
    finally:
        made.clear()
        engine.dispose()
