"""Digests of two sides in files on disk, to compare any number of keys in bounded memory.

The first byte of a digest says into which part it goes; parts of the same number are then compared
one pair at a time. Only digests are written to disk, in files without a name. Merging two sorted
streams instead would need both databases to sort alike, and where they don't, alarms would be
false.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import IO

#: Into how many parts the records are put. Ten million keys of 16 bytes make parts of 1.3 MB.
PARTS = 128
#: How many records are read at once.
BLOCK = 4096


class Partitions:
    """Records of one side, by the first byte of their digest.

    Parameters: `size` is the number of bytes of each record; `files` closes the files at the end.
    """

    def __init__(self, size: int, files: ExitStack) -> None:
        self._size = size
        self._parts: list[IO[bytes]] = []
        for _ in range(PARTS):
            file = TemporaryFile(prefix="sanityd-")  # noqa: SIM115 (closed by `files`)
            self._parts.append(files.enter_context(file))

    def fill(self, records: Iterable[bytes]) -> None:
        """Put each record where it belongs."""
        for record in records:
            self._parts[record[0] % PARTS].write(record)

    def __iter__(self) -> Iterator[Iterator[bytes]]:
        """The records of each part."""
        return (self._records(part) for part in self._parts)

    def _records(self, part: IO[bytes]) -> Iterator[bytes]:
        part.seek(0)
        while block := part.read(self._size * BLOCK):
            for start in range(0, len(block), self._size):
                yield block[start : start + self._size]
