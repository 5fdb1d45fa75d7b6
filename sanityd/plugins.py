"""Finds check kinds and channels by name: built-in files, entry points, folders of trusted rules.

A kind is one file, named as the kind. This module imports only the kind that is asked for.
"""

import importlib
import importlib.util
import pkgutil
import sys
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from sanityd.errors import SanitydError

#: The package of built-in kinds of each room. Installed ones have the entry point `sanityd.<room>`.
_PACKAGES = {"checks": "sanityd.checks.kinds", "channels": "sanityd.alerts.channels"}

#: Folders of rules files that allow Python.
_TRUSTED: list[Path] = []


def kind_names(room: str) -> list[str]:
    """Return the names of all kinds of a room, built-in ones first, each part sorted.

    Imports none of them. Raises LookupError for an unknown room.

    Parameters: `room` is `checks` or `channels`.
    """
    built_in = sorted(_built_in_names(room))
    others = {entry.name for entry in _entry_points(room)} | _trusted_files(room).keys()
    return built_in + sorted(others - set(built_in))


def trust_folder(folder: Path) -> None:
    """Load kinds from `checks/` in the folder of a rules file, and let its rules call its modules.

    Built-in and installed kinds of the same name have priority.
    """
    if folder not in _TRUSTED:
        _TRUSTED.append(folder)
        # At the end, so that a file of this folder can't replace an installed library.
        sys.path.append(str(folder))


def load_kind(room: str, name: str) -> type[Any]:
    """Return the class of one kind. Built-in kinds have priority over entry points and files.

    Raises LookupError for an unknown kind, SanitydError when a kind can't be loaded.
    """
    if name in _built_in_names(room):
        return _class_in(importlib.import_module(f"{_PACKAGES[room]}.{name}"), name)
    for entry in _entry_points(room):
        if entry.name == name:
            return _load_entry_point(entry)
    trusted = _trusted_files(room)
    if name in trusted:
        return _load_file(trusted[name], name)
    raise LookupError(f"no kind `{name}` in {room}")


@lru_cache(maxsize=8)
def _built_in_names(room: str) -> frozenset[str]:
    """Return the names of built-in kinds. Cached, because every rule asks."""
    if room not in _PACKAGES:
        raise LookupError(f"no room `{room}`")
    # The folder is listed, not imported, so that listing the kinds costs nothing.
    folder = Path(__file__).parent.joinpath(*_PACKAGES[room].split(".")[1:])
    module_names = (module.name for module in pkgutil.iter_modules([str(folder)]))
    return frozenset(name for name in module_names if not name.startswith("_"))


def _trusted_files(room: str) -> dict[str, Path]:
    """Return the files in trusted folders that define a kind, by its name."""
    files: dict[str, Path] = {}
    for folder in _TRUSTED:
        for file in sorted((folder / room).glob("[a-z]*.py")):
            if f'= "{file.stem}"' in file.read_text("utf-8", errors="replace"):
                files[file.stem] = file
    return files


def _load_file(file: Path, name: str) -> type[Any]:
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


def _entry_points(room: str) -> tuple[EntryPoint, ...]:
    return _entry_points_on(room, tuple(sys.path))


@lru_cache(maxsize=8)
def _entry_points_on(room: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Return the entry points of installed packages. Cached per `sys.path`, as reading is slow."""
    del path
    return tuple(entry_points(group=f"sanityd.{room}"))


def _load_entry_point(entry: EntryPoint) -> type[Any]:
    try:
        loaded = entry.load()
    except (ImportError, AttributeError) as error:
        raise _broken(entry, f"can't be imported ({type(error).__name__})") from error
    if isinstance(loaded, ModuleType):
        return _class_in(loaded, entry.name)
    if _is_kind(loaded, entry.name):
        kind: type[Any] = loaded
        return kind
    raise _broken(entry, f"is not a class whose `kind` is `{entry.name}`")


def _broken(entry: EntryPoint, fault: str) -> SanitydError:
    package = entry.dist.name if entry.dist else "an installed package"
    return SanitydError(
        f"the kind `{entry.name}` of {package} {fault}", f"Repair or uninstall {package}."
    )


def _class_in(module: ModuleType, name: str) -> type[Any]:
    for word, value in vars(module).items():
        if not word.startswith("_") and _is_kind(value, name):
            kind: type[Any] = value
            return kind
    raise LookupError(f"{module.__name__} has no public class whose `kind` is `{name}`")


def _is_kind(value: Any, name: str) -> bool:
    """Return whether a value is a class that itself, not its base, has that `kind`."""
    return isinstance(value, type) and vars(value).get("kind") == name
