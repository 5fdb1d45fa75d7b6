"""What is looked at can be stopped from another thread, on each database, and says why."""

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from sanityd.errors import CheckError
from sanityd.sources.base import SourceSettings
from sanityd.sources.snapshot_pool import CancelToken, SnapshotPool

#: Takes longer than anybody would wait.
SLOW = {
    "sqlite": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 10000000000) SELECT max(x) FROM n",
    "postgres": "SELECT max(a * b) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b",
    "mariadb": "SELECT max(a.seq * b.seq) FROM seq_1_to_1000000 a, seq_1_to_1000000 b",
    "duckdb": "SELECT max(a.range * b.range) FROM range(10000000) a, range(10000000) b",
}
WHY = CheckError("sanityd is being stopped")


def statement(sql: str) -> Any:
    """As a snapshot takes it."""
    return text(sql).columns()


@pytest.mark.parametrize("database", SLOW)
def test_a_statement_that_runs_is_cut_off_and_no_other_begins(
    database: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(database)
    brake = CancelToken()
    settings = {"app": SourceSettings("app", url, statement_timeout=timedelta(seconds=60))}
    with SnapshotPool(settings, brake) as views:
        snapshot = views.snapshot("app")
        threading.Timer(0.5, brake.cancel, [WHY]).start()
        began = time.monotonic()
        with pytest.raises(CheckError, match="is being stopped"):
            snapshot.rows(statement(SLOW[database]))
        assert time.monotonic() - began < 15
        with pytest.raises(CheckError, match="is being stopped"):
            snapshot.rows(statement("SELECT 1"))
    with (
        SnapshotPool(settings, brake) as views,
        pytest.raises(CheckError, match="is being stopped"),
    ):
        views.snapshot("app")
