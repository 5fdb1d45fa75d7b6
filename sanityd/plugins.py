"""One file, one kind: finds check kinds and channels by the names of their files, then by entry points, then in the
folders that a rules file trusts.

Knows nothing of what a kind does; imports the one that is asked for and no other.
"""

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from sanityd.errors import SanitydError

#: Each room's package of kinds. Other people's kinds come by the entry points `sanityd.<room>`.
_PACKAGES = {"checks": "sanityd.checks.kinds", "channels": "sanityd.alerts.channels"}

#: Folders of rules files that allow Python.
_TRUSTED: list[Path] = []


def names(room: str) -> list[str]:
    """All kinds of a room (`checks` or `channels`): ours in the order of the alphabet, then installed ones.

    Imports none of them. Raises LookupError for a room that there isn't.
    """
    ours = sorted(_files(room))
    others = {entry.name for entry in _installed(room)} | _own(room).keys()
    return ours + sorted(others - set(ours))


def trust(folder: Path) -> None:
    """Take kinds from `checks/` beside a rules file, and let its rules call functions of modules there.

    Ours and installed ones of the same name come first.
    """
    if folder not in _TRUSTED:
        _TRUSTED.append(folder)
        # After all that is installed, so that a file beside the rules can't take a library's place.
        sys.path.append(str(folder))


def lookup(room: str, name: str) -> type[Any]:
    """The class of one kind. A file of ours wins over an entry point of the same name.

    Raises LookupError when there is no such kind, SanitydError when an installed one can't be loaded.
    """
    if name in _files(room):
        return _class_in(importlib.import_module(f"{_PACKAGES[room]}.{name}"), name)
    for entry in _installed(room):
        if entry.name == name:
            return _load(entry)
    if name in _own(room):
        return _from_file(_own(room)[name], name)
    raise LookupError(f"no kind `{name}` in {room}")


@lru_cache(maxsize=8)
def _files(room: str) -> frozenset[str]:
    """Asked once: ours don't change while sanityd runs, and every rule asks."""
    if room not in _PACKAGES:
        raise LookupError(f"no room `{room}`")
    # The folder is named, not imported, so that listing the kinds costs nothing.
    folder = Path(__file__).parent.joinpath(*_PACKAGES[room].split(".")[1:])
    names = (module.name for module in pkgutil.iter_modules([str(folder)]))
    return frozenset(name for name in names if not name.startswith("_"))


def _own(room: str) -> dict[str, Path]:
    """The files in the trusted folders that hold a kind, by name."""
    found = (file for folder in _TRUSTED for file in sorted((folder / room).glob("[a-z]*.py")))
    return {
        file.stem: file
        for file in found
        if f'= "{file.stem}"' in file.read_text("utf-8", errors="replace")
    }


def _from_file(file: Path, name: str) -> type[Any]:
    spec = importlib.util.spec_from_file_location(f"sanityd_own_{name}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise SanitydError(
            f"the kind `{name}` in `{file.name}` failed ({type(error).__name__})", str(error)
        ) from error
    return _class_in(module, name)


def _installed(room: str) -> Iterator[EntryPoint]:
    return iter(_entry_points(room, tuple(sys.path)))


@lru_cache(maxsize=8)
def _entry_points(room: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Asked once for each path, as all that is installed is read for it."""
    del path
    return tuple(entry_points(group=f"sanityd.{room}"))


def _load(entry: EntryPoint) -> type[Any]:
    try:
        found = entry.load()
    except (ImportError, AttributeError) as error:
        raise _broken(entry, f"can't be imported ({type(error).__name__})") from error
    if isinstance(found, ModuleType):
        return _class_in(found, entry.name)
    if isinstance(found, type) and vars(found).get("kind") == entry.name:
        return found
    raise _broken(entry, f"is not a class whose `kind` is `{entry.name}`")


def _broken(entry: EntryPoint, what: str) -> SanitydError:
    package = entry.dist.name if entry.dist else "an installed package"
    return SanitydError(
        f"the kind `{entry.name}` of {package} {what}", f"Repair or uninstall {package}."
    )


def _class_in(module: ModuleType, name: str) -> type[Any]:
    for word, found in vars(module).items():
        if not word.startswith("_") and isinstance(found, type) and vars(found).get("kind") == name:
            return found
    raise LookupError(f"{module.__name__} has no public class whose `kind` is `{name}`")
