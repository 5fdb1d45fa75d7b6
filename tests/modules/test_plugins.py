"""Kinds are found by the names of their files, then by entry points; only the one asked for is
imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sanityd import plugins
from sanityd.alerts.base import Channel
from sanityd.checks.base import Check
from sanityd.errors import SanitydError

CONTRACTS: dict[str, type[Check | Channel]] = {"checks": Check, "channels": Channel}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another package with check kinds, as pip would leave it."""
    (tmp_path / "others.py").write_text(
        "class Even:\n    kind = 'even'\nclass Fake:\n    kind = 'not_null'\nclass Odd:\n    kind = 'strange'\n"
    )
    (tmp_path / "prime.py").write_text("class Prime:\n    kind = 'prime'\n")
    metadata = tmp_path / "others-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        "[sanityd.checks]\n"
        "even = others:Even\nprime = prime\nnot_null = others:Fake\nodd = others:Odd\ngone = nowhere:X\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("room", CONTRACTS)
def test_every_name_leads_to_a_class_of_that_kind(room: str) -> None:
    names = plugins.kind_names(room)
    assert names == sorted(names)
    assert names
    for name in names:
        kind = plugins.load_kind(room, name)
        assert issubclass(kind, CONTRACTS[room])
        assert kind.kind == name


def test_listing_imports_no_kind_and_lookup_only_the_one() -> None:
    program = (
        "import sys; from sanityd import plugins; plugins.kind_names('channels'); print('sanityd.alerts' in sys.modules);"
        "plugins.load_kind('channels', 'log');"
        "print(sorted(m for m in sys.modules if m.startswith('sanityd.alerts.channels.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.splitlines() == ["False", "['sanityd.alerts.channels.log']"]


@pytest.mark.usefixtures("installed")
def test_installed_kinds_follow_ours() -> None:
    names = plugins.kind_names("checks")
    assert names[-4:] == ["even", "gone", "odd", "prime"]
    assert names.count("not_null") == 1
    assert plugins.load_kind("checks", "even").__name__ == "Even"


@pytest.mark.usefixtures("installed")
def test_an_entry_point_may_name_a_module() -> None:
    assert plugins.load_kind("checks", "prime").__name__ == "Prime"


@pytest.mark.usefixtures("installed")
def test_an_installed_kind_never_replaces_ours() -> None:
    assert plugins.load_kind("checks", "not_null").__module__ == "sanityd.checks.kinds.not_null"


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "says"), [("gone", "can't be imported"), ("odd", "is not a class")]
)
def test_a_broken_package_is_named(name: str, says: str) -> None:
    with pytest.raises(SanitydError, match=says) as caught:
        plugins.load_kind("checks", name)
    assert caught.value.hint == "Repair or uninstall others."


@pytest.mark.parametrize(
    ("room", "name"), [("checks", "nothing"), ("checks", "_base"), ("kitchen", "not_null")]
)
def test_what_is_not_there_is_a_lookup_error(room: str, name: str) -> None:
    with pytest.raises(LookupError):
        plugins.load_kind(room, name)


def test_a_kind_is_found_without_listing_all_of_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rules file asks as often as it has rules."""
    known = plugins.kind_names("checks")
    monkeypatch.setattr(
        "pkgutil.iter_modules", lambda *_: pytest.fail("the folder is listed for each rule")
    )
    assert plugins.load_kind("checks", "unique").kind == "unique"
    assert plugins.kind_names("checks") == known
