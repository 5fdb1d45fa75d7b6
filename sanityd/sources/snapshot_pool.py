"""Pool of snapshots, one per source, which are opened when needed and closed together."""

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Self

from sanityd.errors import CheckError, SourceError
from sanityd.sources.base import Snapshot, SourceSettings
from sanityd.sources.open import open_source


class CancelToken:
    """Token to cancel an evaluation from another thread: no statement runs on or starts."""

    def __init__(self) -> None:
        #: Why it was cancelled; None while it wasn't.
        self.reason: CheckError | None = None
        self._lock = threading.Lock()
        self._snapshots: set[Snapshot] = set()

    def cancel(self, reason: CheckError) -> None:
        """Cancel all running statements. Later ones fail with `reason`."""
        with self._lock:
            self.reason = reason
            open_now = list(self._snapshots)
        for snapshot in open_now:
            snapshot.stop(reason)

    def add(self, snapshot: Snapshot) -> None:
        """Add a snapshot to cancel. Raises the reason when the token is already cancelled."""
        with self._lock:
            if self.reason is not None:
                raise self.reason
            self._snapshots.add(snapshot)

    def remove(self, snapshot: Snapshot) -> None:
        """Remove a snapshot before it is closed."""
        with self._lock:
            self._snapshots.discard(snapshot)


class SnapshotPool:
    """One snapshot per source.

    A check that compares two sources must ask first for the one that refers, then for the one that
    is referred to, so that the second is never older than the first.

    Parameters: `settings` are the sources by name; `brake` cancels their statements.
    """

    def __init__(
        self, settings: Mapping[str, SourceSettings], brake: CancelToken | None = None
    ) -> None:
        self._settings = settings
        self._cancel_token = brake or CancelToken()
        self._open: dict[str, Snapshot] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def snapshot(self, name: str) -> Snapshot:
        """Return the snapshot of a source. Raises SourceError when it doesn't answer."""
        if name not in self._open:
            try:
                source = open_source(self._settings[name])
                self._stack.callback(source.close)
                snapshot = self._stack.enter_context(source.snapshot())
                self._cancel_token.add(snapshot)
                # Called before the connection is closed, so that nothing else on it is cancelled.
                self._stack.callback(self._cancel_token.remove, snapshot)
                self._open[name] = snapshot
            except SourceError as error:
                error.source = name
                raise
        return self._open[name]

    def all(self) -> list[Snapshot]:
        """Return the open snapshots, in the order in which they were opened."""
        return list(self._open.values())
