"""Snapshots of several sources: each is opened when it is first asked for, and all are given back together."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Self

from sanityd.errors import SourceError
from sanityd.sources.base import Snapshot, SourceSettings
from sanityd.sources.open import open_source


class Views:
    """One snapshot per source. Whoever looks asks first for what is claimed and then for its evidence, so that the
    evidence is never older than the claim.

    Parameters: `settings` are the sources by name.
    """

    def __init__(self, settings: Mapping[str, SourceSettings]) -> None:
        self._settings = settings
        self._open: dict[str, Snapshot] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def snapshot(self, name: str) -> Snapshot:
        """The snapshot of a source. Raises SourceError when the database doesn't answer."""
        if name not in self._open:
            try:
                source = open_source(self._settings[name])
                self._stack.callback(source.close)
                self._open[name] = self._stack.enter_context(source.snapshot())
            except SourceError as error:
                error.source = name
                raise
        return self._open[name]

    def all(self) -> list[Snapshot]:
        """Those that were opened, in order."""
        return list(self._open.values())
