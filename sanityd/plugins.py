"""One file, one kind: finds check kinds and channels by the names of their files, then by entry points.

Knows nothing of what a kind does; imports the one that is asked for and no other.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from sanityd.errors import SanitydError

#: Each room's package of kinds. Other people's kinds come by the entry points `sanityd.<room>`.
_PACKAGES = {"checks": "sanityd.checks.kinds", "channels": "sanityd.alerts.channels"}


def names(room: str) -> list[str]:
    """All kinds of a room (`checks` or `channels`): ours in the order of the alphabet, then installed ones.

    Imports none of them. Raises LookupError for a room that there isn't.
    """
    ours = sorted(_files(room))
    return ours + sorted({entry.name for entry in _installed(room)} - set(ours))


def lookup(room: str, name: str) -> type[Any]:
    """The class of one kind. A file of ours wins over an entry point of the same name.

    Raises LookupError when there is no such kind, SanitydError when an installed one can't be loaded.
    """
    if name in _files(room):
        return _class_in(importlib.import_module(f"{_PACKAGES[room]}.{name}"), name)
    for entry in _installed(room):
        if entry.name == name:
            return _load(entry)
    raise LookupError(f"no kind `{name}` in {room}")


def _files(room: str) -> Iterator[str]:
    if room not in _PACKAGES:
        raise LookupError(f"no room `{room}`")
    # The folder is named, not imported, so that listing the kinds costs nothing.
    folder = Path(__file__).parent.joinpath(*_PACKAGES[room].split(".")[1:])
    return (module.name for module in pkgutil.iter_modules([str(folder)]) if not module.name.startswith("_"))


def _installed(room: str) -> Iterator[EntryPoint]:
    return iter(entry_points(group=f"sanityd.{room}"))


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
    return SanitydError(f"the kind `{entry.name}` of {package} {what}", f"Repair or uninstall {package}.")


def _class_in(module: ModuleType, name: str) -> type[Any]:
    for word, found in vars(module).items():
        if not word.startswith("_") and isinstance(found, type) and vars(found).get("kind") == name:
            return found
    raise LookupError(f"{module.__name__} has no public class whose `kind` is `{name}`")
