"""Opens the source of a URL, by the file in this folder whose class has its scheme."""

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from sanityd import sources
from sanityd.errors import SourceError
from sanityd.sources.base import Source, SourceSettings
from sanityd.sources.snapshot import EngineSource


def open_source(settings: SourceSettings) -> Source:
    """Return the source of the settings, without connecting to it.

    Raises SourceError when the URL is invalid, its scheme unknown, or its driver not installed.
    """
    url = _parsed(settings.url)
    if url is None:
        raise SourceError(
            f"the URL of `{settings.name}` can't be read",
            "Write `postgresql://user:password@host/database`;"
            " signs like @ : / in a password must be percent-encoded.",
        )
    database = _databases().get(url.get_backend_name())
    if database is None:
        schemes = ", ".join(sorted(_databases()))
        raise SourceError(
            f"the URL of `{settings.name}` is of an unknown kind",
            f"It may begin with one of: {schemes}.",
        )
    return database(settings, url)


def dialect_of(url: str) -> str | None:
    """Return sqlglot's name of the SQL dialect of a URL; None if unknown. Does not connect."""
    parsed = _parsed(url)
    database = _databases().get(parsed.get_backend_name()) if parsed else None
    return database.dialect_class.name if database else None


def _parsed(url: str) -> URL | None:
    try:
        return make_url(url)
    # ValueError: the port is no number. The texts of both errors contain the URL.
    except (ArgumentError, ValueError):
        return None


@cache
def _databases() -> dict[str, type[EngineSource]]:
    return {scheme: database for database in _classes() for scheme in database.schemes}


def _classes() -> Iterator[type[EngineSource]]:
    for module in pkgutil.iter_modules(sources.__path__, f"{sources.__name__}."):
        for item in vars(importlib.import_module(module.name)).values():
            # The base class itself has no schemes.
            is_source = isinstance(item, type) and issubclass(item, EngineSource)
            if is_source and "schemes" in vars(item):
                yield item
