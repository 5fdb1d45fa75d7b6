"""Whether the rules file on the disk is still the one that was read."""

from pathlib import Path

#: Name, inode, size and modification time of a file.
FileMark = tuple[str, int, int, int]


class FileWatch:
    """Compares a file, or the YAML files of a folder, with what they were when they were read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reported = self._last = self._marks()

    def changed(self) -> bool:
        """Whether the files differ from those last reported, and nobody is writing them.

        Nobody is, when they are the same as at the last call.
        """
        marks = self._marks()
        is_stable = marks == self._last
        self._last = marks
        if not is_stable or marks == self._reported:
            return False
        self._reported = marks
        return True

    def _marks(self) -> tuple[FileMark, ...]:
        try:
            files = sorted(self._path.iterdir()) if self._path.is_dir() else [self._path]
        except OSError:
            return ()
        marks = []
        for file in files:
            if file != self._path and file.suffix not in (".yaml", ".yml"):
                continue
            mark = _mark(file)
            if mark is not None:
                marks.append(mark)
        return tuple(marks)


def _mark(file: Path) -> FileMark | None:
    """Return the mark of a file, of a link that of its target: Kubernetes swaps a ConfigMap so."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return (file.name, stat.st_ino, stat.st_size, stat.st_mtime_ns)
