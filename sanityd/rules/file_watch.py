"""Whether the rules file on the disk is still the one that was read. Knows nothing of what is in it."""

from pathlib import Path

State = tuple[tuple[str, int, int, int], ...]


class Watch:
    """Looks at a file, or at the YAML files of a folder, from time to time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = self._seen = self._state()

    def changed(self) -> bool:
        """Whether it is another one than was last told, and the same as at the last look, so that nobody writes it."""
        now = self._state()
        rests, self._seen = now == self._seen, now
        if not rests or now == self._read:
            return False
        self._read = now
        return True

    def _state(self) -> State:
        try:
            files = sorted(self._path.iterdir()) if self._path.is_dir() else [self._path]
        except OSError:
            return ()
        return tuple(
            found
            for file in files
            if file == self._path or file.suffix in (".yaml", ".yml")
            if (found := _mark(file)) is not None
        )


def _mark(file: Path) -> tuple[str, int, int, int] | None:
    """A ConfigMap of Kubernetes is swapped by a link, so it is what the link leads to that counts."""
    try:
        found = file.stat()
    except OSError:
        return None
    return (file.name, found.st_ino, found.st_size, found.st_mtime_ns)
