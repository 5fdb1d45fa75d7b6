"""A watched database with an engine that may write, and the source that may only look."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from sanityd.sources.base import Source, SourceSettings
from sanityd.sources.open import open_source
from tests.support.services import owner


@pytest.fixture
def admin(database_url: str) -> Iterator[Engine]:
    """The owner's engine."""
    engine = owner(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def do(admin: Engine) -> Callable[..., None]:
    """Runs statements as the owner, each in the words of the database, and commits."""

    def run(*statements: str) -> None:
        with admin.begin() as connection:
            for statement in statements:
                connection.execution_options(no_parameters=True).exec_driver_sql(statement)

    return run


@pytest.fixture
def open_it() -> Iterator[Callable[..., Source]]:
    """Opens sources, with short timeouts, and closes them."""
    opened: list[Source] = []

    def open_(url: str, **settings: Any) -> Source:
        limits = {
            "statement_timeout": timedelta(seconds=1),
            "lock_timeout": timedelta(milliseconds=500),
        }
        opened.append(open_source(SourceSettings("app", url, **{**limits, **settings})))
        return opened[-1]

    yield open_
    for source in opened:
        source.close()


@pytest.fixture
def source(database_url: str, do: Callable[..., None], open_it: Callable[..., Source]) -> Source:
    """The database with three people in it."""
    do(
        "CREATE TABLE people (id integer PRIMARY KEY, name varchar(50), born date)",
        "INSERT INTO people VALUES (1, 'Ada', '1815-12-10'), (2, 'Grace', '1906-12-09'), (3, NULL, NULL)",
    )
    return open_it(database_url)
