"""Snapshots of several sources: each is opened when it is first asked for, and all are given back together."""

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Self

from sanityd import clock
from sanityd.errors import CheckError, SourceError
from sanityd.sources.base import Snapshot, SourceSettings
from sanityd.sources.open import open_source


class CancelToken:
    """What stops a look from another thread: the statement that runs is cut off, and no other begins."""

    def __init__(self) -> None:
        #: Why it was pulled; None while it wasn't.
        self.reason: CheckError | None = None
        self._pulled = threading.Event()
        self._lock = threading.Lock()
        self._snapshots: set[Snapshot] = set()

    def pull(self, reason: CheckError) -> None:
        """Stop everything that is looked at. What is asked from now on fails with `reason`."""
        with self._lock:
            self.reason = reason
            open_now = list(self._snapshots)
        self._pulled.set()
        for snapshot in open_now:
            snapshot.stop(reason)

    def wait(self, seconds: float) -> None:
        """Wait, but not any longer once it is pulled."""
        clock.pause(seconds, self._pulled)

    def add(self, snapshot: Snapshot) -> None:
        """Let it stop this snapshot, too. Raises the reason when it was pulled already."""
        with self._lock:
            if self.reason is not None:
                raise self.reason
            self._snapshots.add(snapshot)

    def remove(self, snapshot: Snapshot) -> None:
        """The snapshot is given back."""
        with self._lock:
            self._snapshots.discard(snapshot)


class SnapshotPool:
    """One snapshot per source. Whoever looks asks first for what is claimed and then for its evidence, so that the
    evidence is never older than the claim.

    Parameters: `settings` are the sources by name; `brake` stops them from another thread.
    """

    def __init__(
        self, settings: Mapping[str, SourceSettings], brake: CancelToken | None = None
    ) -> None:
        self._settings = settings
        self._brake = brake or CancelToken()
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
                snapshot = self._stack.enter_context(source.snapshot())
                self._brake.add(snapshot)
                # Before the connection is given back, so that nothing else on it is ever cut off.
                self._stack.callback(self._brake.remove, snapshot)
                self._open[name] = snapshot
            except SourceError as error:
                error.source = name
                raise
        return self._open[name]

    def all(self) -> list[Snapshot]:
        """Those that were opened, in order."""
        return list(self._open.values())
