"""Fixtures of real databases, each empty when its test begins.

A server starts when the first test of a run asks for it, is shared by all workers of pytest-xdist,
and is stopped by the process that started the workers. SANITYD_TEST_POSTGRES and
SANITYD_TEST_MARIADB (URLs of administrators) use servers that run already. Tests whose server is
not installed are skipped; with SANITYD_REQUIRE_SERVICES=1 they fail.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import duckdb as duckdb_driver
import pytest

from sanityd.authoring.demo import story
from tests import ROOT
from tests.support import kill_counts, services
from tests.support.databases import PostgreSQLDatabases, fresh_database
from tests.support.project import RULES, Project
from tests.support.scene import Scene, staged
from tests.support.services import MariaDB, Missing, PostgreSQL, Server
from tests.support.smtp_server import Mailbox, working

# So that its assertions say what they compared.
pytest.register_assert_rewrite("tests.acceptance")

#: Runs pytest within pytest, for the plugin.
pytest_plugins = ("pytester",)

_RUN = pytest.StashKey[services.Run]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin a run, in the process that starts the workers; clean up after runs that were killed."""
    if not hasattr(config, "workerinput"):
        services.sweep()
        config.stash[_RUN] = services.Run()
        os.environ[kill_counts.FOLDER] = str(config.stash[_RUN].folder)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--fast`, which `scripts/test --fast` uses."""
    parser.addoption("--fast", action="store_true", help="only tests without servers and browsers")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect slow tests with `--fast`; start long tests first, so that no worker waits for
    one."""
    if config.getoption("--fast"):
        fast: list[pytest.Item] = []
        slow: list[pytest.Item] = []
        for item in items:
            group = slow if _is_slow(item) else fast
            group.append(item)
        config.hook.pytest_deselected(items=slow)
        items[:] = fast
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


#: What a test needs that is not in the fast tier: the parameters and fixtures of databases. The
#: tier tries every check on SQLite only; opening a DuckDB file for each test takes too long.
SERVERS = {"postgres", "postgresql", "mariadb", "duckdb", "postgres_url", "mariadb_url"}
#: Tests that start processes, browsers or servers, or that try very many cases.
SLOW = (
    "api",
    "alerts/channels",
    "alerts/compose/test_looks.py",
    "alerts/compose/test_own_templates.py",
    "alerts/test_hostile.py",
    "authoring/ruletests/test_every_kind.py",
    "authoring/suggest",
    "bench",
    "checks/test_bitmaps.py",
    "checks/test_crosscheck.py",
    "checks/test_proofs.py",
    "checks/test_properties.py",
    "checks/test_together.py",
    "cli",
    "daemon",
    "docs",
    "end_to_end",
    "fuzz",
    "modules/test_pytest_plugin.py",
    "modules/test_scheduler_process.py",
    "modules/test_telemetry.py",
    "notifications/test_digest.py",
    "notifications/test_events.py",
    "notifications/test_inhibition.py",
    "notifications/test_limit.py",
    "notifications/test_many_open.py",
    "notifications/test_noise_properties.py",
    "notifications/test_notify.py",
    "pipeline/test_identical_rows.py",
    "pipeline/test_keep_open.py",
    "pipeline/test_new_rows.py",
    "pipeline/test_pipeline.py",
    "pipeline/test_rechecks.py",
    "pipeline/test_renaming.py",
    "pipeline/test_replay.py",
    "pipeline/test_worse_values.py",
    "sources/test_duckdb.py",
    "sources/test_duckdb_bounds.py",
    "sources/test_guards.py",
    "sources/test_snapshot.py",
    "sources/test_sqlite_bounds.py",
    "store/test_open.py",
    "store/test_outbox.py",
    "store/test_retention.py",
    "store/test_slots.py",
    "store/test_version_before.py",
    "store/test_violations.py",
    "support",
    # `scripts/check` runs it.
    "test_architecture.py",
    "test_docs.py",
    "test_packaging.py",
    "web",
)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Don't even import slow tests for the fast tier."""
    if not config.getoption("--fast") or not collection_path.is_relative_to(ROOT / "tests"):
        return None
    path = collection_path.relative_to(ROOT / "tests")
    return True if any(path.is_relative_to(slow) for slow in SLOW) else None


def _is_slow(item: pytest.Item) -> bool:
    """Return whether a test is left out of the fast tier: marked so, or in need of a server."""
    if item.get_closest_marker("long"):
        return True
    fixtures = set(getattr(item, "fixturenames", ()))
    parameters = getattr(getattr(item, "callspec", None), "params", {}).values()
    words = {value for value in parameters if isinstance(value, str)}
    return bool(SERVERS & (fixtures | words))


def pytest_terminal_summary(terminalreporter: "pytest.TerminalReporter") -> None:
    """Say how many processes were killed, and what came of it."""
    if line := kill_counts.told():
        terminalreporter.write_line(line)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started."""
    if _RUN in config.stash:
        config.stash[_RUN].end()


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """An administrator's URL of a PostgreSQL server."""
    return os.environ.get("SANITYD_TEST_POSTGRES") or _shared(PostgreSQL)


@pytest.fixture(scope="session")
def mariadb_url() -> str:
    """An administrator's URL of a MariaDB server."""
    return os.environ.get("SANITYD_TEST_MARIADB") or _shared(MariaDB)


@pytest.fixture(scope="session")
def _postgres_databases(postgres_url: str) -> Iterator[PostgreSQLDatabases]:
    """The PostgreSQL databases that the tests of this process use in turn."""
    databases = PostgreSQLDatabases(postgres_url)
    yield databases
    databases.close()


@pytest.fixture
def postgres(_postgres_databases: PostgreSQLDatabases) -> Iterator[str]:
    """The URL of an empty PostgreSQL database, as its owner."""
    with _postgres_databases.lend() as url:
        yield url


@pytest.fixture
def mariadb(mariadb_url: str) -> Iterator[str]:
    """The URL of an empty MariaDB database, as its owner."""
    with fresh_database(mariadb_url) as url:
        yield url


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    """The URL of an empty SQLite database."""
    file = tmp_path / "database.sqlite3"
    file.touch()
    return f"sqlite:///{file}"


@pytest.fixture(scope="session")
def _empty_duckdb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty DuckDB file: to copy it is faster than to make one."""
    file = tmp_path_factory.mktemp("empty") / "database.duckdb"
    duckdb_driver.connect(str(file)).close()
    return file


@pytest.fixture
def duckdb(tmp_path: Path, _empty_duckdb: Path) -> str:
    """The URL of an empty DuckDB database."""
    file = shutil.copy(_empty_duckdb, tmp_path / "database.duckdb")
    return f"duckdb:///{file}"


@pytest.fixture(params=["sqlite", "postgres", "mariadb", "duckdb"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, of each kind in turn."""
    url: str = request.getfixturevalue(request.param)
    return url


def _shared(server: type[Server]) -> str:
    try:
        return server.shared(Path(os.environ[kill_counts.FOLDER]))
    except Missing as reason:
        absent(reason)


def absent(reason: Missing) -> NoReturn:
    """Skip a test whose server is missing; fail it where SANITYD_REQUIRE_SERVICES=1."""
    if os.environ.get("SANITYD_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{reason}, and SANITYD_REQUIRE_SERVICES=1", pytrace=False)
    pytest.skip(f"{reason}; `scripts/test` installs it as root, or see tests/conftest.py")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A healthy application with two rules."""
    made = Project(tmp_path)
    made.rules(RULES)
    story.begin(tmp_path / "app.db")
    return made


@pytest.fixture
def lose_mails(project: Project) -> Callable[[], None]:
    """Loses the welcome mails of three people."""
    return lambda: project.sql("update mails set status = 'queued' where person_id in (7, 77, 777)")


@pytest.fixture(params=["sqlite", "postgres"])
def state(request: pytest.FixtureRequest) -> str:
    """Where sanityd's memory is."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
def scene(state: str, tmp_path: Path) -> Iterator[Scene]:
    """Ten adults, one rule, one recipient, and a mail server that is down."""
    with staged(state, tmp_path) as made:
        yield made


@pytest.fixture
def box(scene: Scene) -> Iterator[Mailbox]:
    """A mail server that works."""
    with working() as box:
        scene.port = box.port
        yield box
