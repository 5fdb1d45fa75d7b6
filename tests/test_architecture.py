"""Who may know whom. `ROOMS` is the map of the project, in order: a room imports only rooms listed
before it.

Reads the source as text; imports nothing of it.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions

import pytest

from tests import ROOT
from tests.support.house import COMPLEX, House

PACKAGE = ROOT / "sanityd"

#: Every module and folder at the top of `sanityd/`, and what it is there for.
ROOMS = {
    "errors": "every exception on one screen, each with a hint for the person who must act",
    "model": "the nouns, frozen, and the few types that all rooms share",
    "clock": "the only reader of the wall clock",
    "telemetry": "the log, and errors to Sentry",
    "plugins": "one file, one kind: finds check kinds and channels by name",
    "sources": "the watched databases, opened read-only",
    "checks": "what can be said of data, and how to check it with few statements",
    "alerts": "what a message says and how it is delivered",
    "rules": "rules files to rules; all errors at once",
    "lifecycle": "pure: what was known and what a run saw, to transitions",
    "store": "sanityd's own memory",
    "notifications": "who is notified of what, and why not; noise, triage, digest",
    "pipeline": "one batch, end to end; read this first",
    "scheduler": "when: jobs, signals, clock changes; knows nothing of checks or mail",
    "daemon": "the background process: rules in force, their changes, health, heartbeat",
    "web": "health and metrics over HTTP",
    "authoring": "for people who write rules: lint, try, explain, suggest, tests, migration, demo",
    "api": "the public Python interface, and one pass over the rules, which `check` makes, too",
    "cli": "the commands: words in, words out",
    "pytest_plugin": "rule tests as pytest tests, and a fixture that asserts rules",
    "__main__": "`python -m sanityd`",
}

#: Rooms that come earlier, and yet are none of a room's business: they meet in `pipeline.py`.
STRANGERS = {
    "alerts": {"sources", "checks"},
    "store": {"sources", "checks", "alerts", "rules"},
    "lifecycle": {"sources", "checks", "alerts", "rules"},
    "notifications": {"sources", "checks", "lifecycle"},
    "scheduler": {"sources", "checks", "alerts", "rules", "store", "notifications", "pipeline"},
}

#: Where imports may stand inside functions, or be done by name, and why.
LATE_IMPORTS = {
    "__init__.py": "`import sanityd` costs nothing; what is public is imported when it is first used",
    "authoring/lint/sql_errors.py": "as in `sources/sql_gate.py`: only SQL that a database refused needs it",
    "alerts/channels/apprise.py": "apprise is an extra",
    "api/one_pass.py": "few rules have a remedy, and HTTP takes 0.05 s",
    "authoring/suggest/proposals/__init__.py": "an idea is found by the name of its file",
    "alerts/compose/digest_view.py": "templates take 0.1 s, and few passes send a digest",
    "alerts/compose/render.py": "templates take 0.1 s, and most passes have nothing to say",
    "cli/": "`--help` answers at once; a command imports what it needs",
    "checks/kinds/python.py": "the user's own function, named in a rule",
    "pipeline/__init__.py": "few files have rules with evidence",
    "plugins.py": "one kind is imported, not all of them",
    "pytest_plugin.py": "pytest imports it in every run of everybody; it costs nothing where it isn't asked for",
    "rules/load.py": "few rules have a remedy, and HTTP takes 0.05 s",
    "sources/duckdb.py": "duckdb is an extra",
    "sources/files.py": "duckdb is an extra",
    "authoring/equalities.py": "as in `sources/sql_gate.py`",
    "authoring/ruletests/": "sqlglot takes 0.1 s, and only examples of rules with SQL need it",
    "sources/freeze_clock.py": "as in `sources/sql_gate.py`",
    "sources/duckdb_bounds.py": "as in `sources/sql_gate.py`",
    "sources/sql_calls.py": "as in `sources/sql_gate.py`",
    "sources/sqlite_bounds.py": "as in `sources/sql_gate.py`",
    "sources/sql_parameters.py": "as in `sources/sql_gate.py`",
    "sources/sql_gate.py": "sqlglot takes 0.1 s, and only rules with SQL need it",
    "sources/postgresql.py": "psycopg is an extra",
    "sources/mysql_values.py": "PyMySQL is an extra",
    "sources/open.py": "a database is found by the scheme of its URL, and its driver may not be installed",
    "store/open.py": "alembic takes 0.1 s, and is needed once in a store's life",
    "store/tables.py": "the dialect of PostgreSQL takes 0.1 s, and most stores are SQLite",
    "web/serving.py": "uvicorn is an extra",
    "notifications/notify.py": "as in `alerts/compose/render.py`: what the letters are made of, too",
    "telemetry.py": "the Sentry SDK is heavy, and most people don't use it",
}

#: Files that alone may touch something.
ALONE = {
    "sentry_sdk": "telemetry.py",
    "apscheduler": "scheduler.py",
    "css_inline": "alerts/compose/templating.py",
    "prometheus_client": "web/figures.py",
    "uvicorn": "web/serving.py",
    "urllib3": "alerts/http.py",
}

#: Packages that a declared one is made of.
COME_WITH_OTHERS = {
    "markupsafe": "jinja2's half that knows which text is safe already",
    "pydantic_core": "pydantic's half that has the type of its errors",
}

#: Functions with a complexity over 10, and why they are still read in one go.
COMPLEX_FUNCTIONS: dict[str, str] = {
    "transitions": "the table of docs/explanation/lifecycle.md: what a run finds, what the row was",
    "_accepts_something": "one case for each kind of value",
    "_sql_mentions": "one case for each option that holds SQL",
    "_add_sql": "one case for each option that holds SQL",
    "family_of_values": "one case for each type",
    "describe": "one step for each part of SQLite's catalog",
    "select_rows": "the oldest and the newest rows, in four steps",
    "_resolved": "one case for each form of a JSON Schema",
    "_recipient_line": "one case for each reason",
    "count": "one condition for each number that is counted",
}

#: The clock as others give it; `sanityd.clock` is the one to ask.
CLOCKS = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "time.time",
    "time.time_ns",
}


@dataclass(frozen=True)
class Import:
    """One name that a file imports."""

    file: str
    line: int
    target: str
    late: bool
    for_types: bool

    @property
    def room(self) -> str | None:
        """The room of ours that it names; None for other people's packages and for `sanityd`
        itself."""
        package, _, rest = self.target.partition(".")
        room = rest.partition(".")[0]
        return room if package == "sanityd" and room in ROOMS else None

    def __str__(self) -> str:
        return f"sanityd/{self.file}:{self.line} imports {self.target}"


FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


@cache
def tree(file: str) -> ast.Module:
    """The syntax tree of a file; read by the first test that needs it, not while collecting."""
    return ast.parse((PACKAGE / file).read_text(encoding="utf-8"))


def test_every_room_is_on_the_map() -> None:
    """Whoever adds one says here what it is for and how much it may know."""
    found = {file.split("/", maxsplit=1)[0].removesuffix(".py") for file in FILES} - {"__init__"}
    assert found == ROOMS.keys()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_listed_before_it(room: str) -> None:
    """So that no cycle is possible, and each room can be read with only those above it in mind."""
    order = list(ROOMS)
    known = set(order[: order.index(room) + 1]) - STRANGERS.get(room, set())
    wrong = [
        str(found)
        for found in imports()
        if _room(found.file) == room and found.room and found.room not in known
    ]
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    """In particular a contract (`base.py`) never imports what implements it."""
    graph = {
        _module(file): {_existing(found.target) for found in imports() if _at_run_time(found, file)}
        for file in FILES
    }
    try:
        TopologicalSorter({module: known - {module} for module, known in graph.items()}).prepare()
    except CycleError as circle:
        pytest.fail(" → ".join(circle.args[1]))


@pytest.mark.parametrize("folder", ["checks/kinds", "alerts/channels"])
def test_nothing_names_a_kind_but_its_own_kind(folder: str) -> None:
    """They are found by the names of their files, so that adding one edits nothing. One may build
    on another."""
    kinds = {f"sanityd.{folder.replace('/', '.')}.{name}" for name in _kinds(folder)}
    named = [found for found in imports() if _existing(found.target) in kinds]
    assert [str(found) for found in named if not found.file.startswith(folder)] == []


def test_late_imports_stand_only_where_they_are_explained() -> None:
    """Everywhere else the head of a file tells all that it needs. An explanation without an import
    is out of date."""
    late = [found for found in imports() if found.late] + list(_imports_by_name())
    assert [str(found) for found in late if not found.file.startswith(tuple(LATE_IMPORTS))] == []
    assert [
        place for place in LATE_IMPORTS if not any(found.file.startswith(place) for found in late)
    ] == []


@pytest.mark.parametrize(("package", "file"), ALONE.items())
def test_only_one_file_knows_the_package(package: str, file: str) -> None:
    """What is known in one place can be replaced in one place."""
    wrong = [
        str(found)
        for found in imports()
        if found.target.split(".")[0] == package and found.file != file
    ]
    assert wrong == []


def test_only_declared_packages_are_imported() -> None:
    """What the tests install may not be needed by accident."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [
        *project["dependencies"],
        *(name for extra in extras if extra != "dev" for name in extras[extra]),
    ]
    declared = {re.split(r"[^a-z0-9-]", name.lower())[0] for name in wanted}
    foreign = (
        {found.target.split(".")[0] for found in imports()}
        - set(sys.stdlib_module_names)
        - {"sanityd"}
    )
    makers = packages_distributions()
    by_nobody = {
        package
        for package in foreign
        if not declared & {maker.lower().replace("_", "-") for maker in makers.get(package, ())}
    }
    assert by_nobody <= COME_WITH_OTHERS.keys()


def test_only_the_clock_reads_the_clock() -> None:
    """Everything else is handed the time, and can be tested at any time."""
    calls = (
        (file, node.lineno, ast.unparse(node.func))
        for file in FILES
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Call) and file != "clock.py"
    )
    assert [
        call for call in calls if call[2] in CLOCKS or call[2].removeprefix("datetime.") in CLOCKS
    ] == []


def test_no_module_is_named_for_nothing() -> None:
    """A module that can't be named for what it does does too much."""
    empty = {
        "utils",
        "util",
        "helpers",
        "helper",
        "common",
        "misc",
        "manager",
        "managers",
        "service",
        "services",
    }
    assert [file for file in FILES if empty & set(file.removesuffix(".py").split("/"))] == []


@pytest.fixture(scope="module")
def house() -> House:
    """The measures of the package, which take seconds to make."""
    return House(ROOT)


def test_strangers_can_read_the_package(house: House) -> None:
    """`python -m tests.support.house` shows the places that break a goal."""
    assert [str(goal) for goal in house.goals() if not goal.is_met] == []


def test_complex_functions_are_known(house: House) -> None:
    """Functions with a complexity over 10 are long chains of simple conditions; no others."""
    functions = {each.name for each in house.functions if each.complexity > COMPLEX}
    assert functions == COMPLEX_FUNCTIONS.keys()


def test_files_stay_small() -> None:
    """A file that needs scrolling for long is two files."""
    lines = {file: len((PACKAGE / file).read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert {file: count for file, count in lines.items() if count > 400} == {}


def test_each_kind_has_its_test() -> None:
    """Adding a kind is one file and its cases, adding a channel one file and its test.

    Cases are data about one run; kinds that need more than that have a test of their own.
    """
    beyond_cases = {"python": "the user's function", "steady": "the record of earlier runs"}
    tests = ROOT / "tests"
    expected = [tests / f"alerts/channels/test_{name}.py" for name in _kinds("alerts/channels")]
    for name in _kinds("checks/kinds"):
        if name in beyond_cases:
            expected.append(tests / f"checks/kinds/test_{name}.py")
        else:
            expected.append(tests / f"acceptance/{name}.yaml")
    missing = [str(path.relative_to(ROOT)) for path in expected if not path.exists()]
    assert missing == []


@cache
def imports() -> list[Import]:
    """All imports of all files."""
    return [
        found for file in FILES for found in _below(file, tree(file), late=False, for_types=False)
    ]


def _below(file: str, node: ast.AST, *, late: bool, for_types: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        for target in _targets(file, child):
            yield Import(file, getattr(child, "lineno", 0), target, late, for_types)
        yield from _below(
            file,
            child,
            late=late or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda),
            for_types=for_types
            or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)),
        )


def _targets(file: str, node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = ("sanityd", *file.split("/")[:-1])
            base = ".".join((*package[: len(package) - node.level + 1], *filter(None, [base])))
        return [f"{base}.{name.name}" for name in node.names]
    return []


def _imports_by_name() -> Iterator[Import]:
    for file in FILES:
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "importlib.import_module",
                "__import__",
            ):
                yield Import(
                    file, node.lineno, ast.unparse(node.args[0]), late=True, for_types=False
                )


def _at_run_time(found: Import, file: str) -> bool:
    return found.file == file and not found.for_types and not found.late and found.room is not None


def _room(file: str) -> str:
    return file.split("/", maxsplit=1)[0].removesuffix(".py")


def _module(file: str) -> str:
    return f"sanityd.{file.removesuffix('.py').replace('/', '.')}".removesuffix(".__init__")


@cache
def modules() -> set[str]:
    """The names of all modules of sanityd."""
    return {_module(file) for file in FILES}


def _existing(target: str) -> str:
    """The module that a name is taken from: the name itself may be a module or something in one."""
    return target if target in modules() else target.rpartition(".")[0]


def _kinds(folder: str) -> list[str]:
    return sorted(path.stem for path in (PACKAGE / folder).glob("[!_]*.py"))
