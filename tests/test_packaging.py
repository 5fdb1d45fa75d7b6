"""What is shipped is whole, what it is tested with is pinned, and it starts at once."""

import email
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from tests import ROOT

SCRIPTS = ["setup", "demo", "test", "check", "lock", "setup-lowest", "language-server"]

#: What `--help` has no use for.
HEAVY = {
    "alembic",
    "apscheduler",
    "jinja2",
    "pydantic",
    "rich",
    "sentry_sdk",
    "sqlalchemy",
    "sqlglot",
    "yaml",
}
#: What a pass over a small SQLite database has no use for, when nothing is to be told.
NEEDLESS = {"alembic", "apscheduler", "css_inline", "jinja2", "psycopg", "sentry_sdk", "sqlglot"}
#: How many modules such a pass imports at most. It was 660 when this was written, of which 240 are
#: SQLAlchemy's and pydantic's; a new dependency that comes with a hundred should be imported where
#: it is of use.
MODULES = 700


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the source archive, and the wheel that was built from that archive."""
    # From a copy: building leaves files behind, and what earlier builds left behind would be
    # packed.
    tree = tmp_path_factory.mktemp("tree")
    shutil.copytree(
        ROOT / "sanityd", tree / "sanityd", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def test_the_wheel_holds_every_file_of_the_package(built: Path) -> None:
    """Templates, rules, migrations and the marker of types, too: what is missing shows only on
    other machines."""
    [wheel] = built.glob("*.whl")
    ours = [
        path
        for path in (ROOT / "sanityd").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert {path.relative_to(ROOT).as_posix() for path in ours} - packed == set()
    assert {name.split("/")[0].split("-")[0] for name in packed} == {"sanityd"}


def test_the_wheel_says_what_it_is(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        [metadata] = [name for name in files.namelist() if name.endswith(".dist-info/METADATA")]
        said = email.message_from_bytes(files.read(metadata))
        points = files.read(metadata.replace("METADATA", "entry_points.txt")).decode()
    assert (said["Name"], said["License-Expression"], said["Requires-Python"]) == (
        "sanityd",
        "Apache-2.0",
        ">=3.11",
    )
    assert {"postgresql", "mysql"} <= set(said.get_all("Provides-Extra", []))
    assert "sanityd = sanityd.__main__:main" in points


def test_a_wheel_plays_the_demo_where_there_is_no_repository(built: Path, tmp_path: Path) -> None:
    """Unpacked as an installer does; the rules, the data and the templates are those of the
    wheel."""
    [wheel] = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")  # noqa: S202 (a wheel built by this test)
    code = "import sanityd; print(sanityd.__file__); from sanityd.__main__ import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "PYTHONSAFEPATH": "1"}
    words = [sys.executable, "-c", code, "demo"]
    done = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == str(tmp_path / "site/sanityd/__init__.py")
    assert "every-person-has-a-welcome-mail" in done.stdout


def test_the_source_archive_can_be_built_from_and_carries_the_license(built: Path) -> None:
    [archive] = built.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "sanityd/__init__.py"} <= names


@pytest.mark.parametrize("lock", ["requirements-dev.lock", "requirements-lowest.lock"])
def test_the_lock_pins_each_package_by_hash_and_names_no_registry(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", text.strip())
    assert [
        entry for entry in entries if not re.match(r"[a-z0-9-]+(\[[a-z,-]+\])?==\S+", entry)
    ] == []
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert not re.search(r"://|index|find-links", text)


def test_the_lock_of_the_language_server_does_so_too() -> None:
    packages = json.loads(
        (ROOT / "tests" / "editor" / "package-lock.json").read_text(encoding="utf-8")
    )["packages"]
    assert len(packages) > 10
    assert [
        name
        for name, one in packages.items()
        if name and ("resolved" in one or "integrity" not in one)
    ] == []


def test_the_lock_knows_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(name for extra in extras for name in extra)]
    names = {re.split(r"[^a-z0-9-]", name.lower())[0] for name in wanted} - {"sanityd"}
    locked = set(
        re.findall(
            r"^([a-z0-9-]+)==", (ROOT / "requirements-dev.lock").read_text(encoding="utf-8"), re.M
        )
    )
    assert names - locked == set()


def test_the_lowest_lock_has_the_versions_that_the_project_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "requirements-lowest.lock").read_text(encoding="utf-8")
    locked = dict(re.findall(r"^([a-z0-9-]+)==([0-9.]+)", text, re.M))
    for dependency in project["dependencies"]:
        name, lowest = re.findall(r"^([a-z0-9-]+)>=([0-9.]+)", dependency)[0]
        assert f"{locked[name]}.".startswith(f"{lowest}.")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_one_screen_of_plain_shell(name: str) -> None:
    script = ROOT / "scripts" / name
    lines = script.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/bin/sh"
    assert lines[1].startswith("# ")
    assert "set -eu" in lines
    assert len(lines) <= 50
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0


def test_ci_runs_the_tests_and_requires_the_databases() -> None:
    run = ROOT / ".ci" / "run"
    assert run.stat().st_mode & 0o111
    assert "\nSANITYD_REQUIRE_SERVICES=1 scripts/test" in run.read_text(encoding="utf-8")


def test_help_imports_nothing_heavy() -> None:
    """`--help` answers in under 0.2 s because of what it doesn't import, which doesn't depend on
    the machine's mood."""
    imported = {name.split(".")[0] for name in modules_of("--help")}
    assert "click" in imported
    assert imported & HEAVY == set()


def test_a_pass_over_a_small_database_imports_what_it_needs_and_no_more(tmp_path: Path) -> None:
    """What it takes is mostly imports; counted, as seconds depend on the machine's mood."""
    with closing(sqlite3.connect(tmp_path / "app.db")) as database:
        database.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT)")
        database.execute("INSERT INTO people VALUES (1, 'a@example.com')")
        database.commit()
    rules = tmp_path / "rules.yaml"
    rule = "every-person-has-an-address: {table: app.people, not_null: email}"
    rules.write_text(f"sources: {{app: 'sqlite:///app.db'}}\nrules:\n  {rule}\n", encoding="utf-8")
    imported = modules_of("check", "--rules", str(rules))
    assert "sqlalchemy" in imported
    assert {name.split(".")[0] for name in imported} & NEEDLESS == set()
    assert [name for name in imported if name.startswith("sqlalchemy.dialects.postgresql")] == []
    assert len(imported) <= MODULES


def modules_of(*arguments: str) -> set[str]:
    """All modules that a command imports, the interpreter's own among them."""
    command = [sys.executable, "-X", "importtime", "-m", "sanityd", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {
        line.rpartition("|")[2].strip()
        for line in done.stderr.splitlines()
        if line.startswith("import time")
    }
