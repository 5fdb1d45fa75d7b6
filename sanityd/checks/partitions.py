"""Digests of two sides, to compare any number of keys in bounded memory: what is more than a few
megabytes is kept in files.

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
#: How many bytes of a part stay in memory: small tables need no file at all.
MEMORY = 32 * 1024
#: How many records are read at once.
BLOCK = 4096


class Partitions:
    """Records of one side, by the first byte of their digest.

    Parameters: `size` is the number of bytes of each record; `files` closes the files at the end.
    """

    def __init__(self, size: int, files: ExitStack) -> None:
        self._size = size
        self._closing = files
        self._in_memory = [bytearray() for _ in range(PARTS)]
        self._files: dict[int, IO[bytes]] = {}

    def fill(self, records: Iterable[bytes]) -> None:
        """Put each record where it belongs."""
        for record in records:
            number = record[0] % PARTS
            part = self._in_memory[number]
            part += record
            if len(part) >= MEMORY:
                self._file(number).write(part)
                part.clear()

    def __iter__(self) -> Iterator[Iterator[bytes]]:
        """The records of each part."""
        return (self._records(number) for number in range(PARTS))

    def _file(self, number: int) -> IO[bytes]:
        if number not in self._files:
            file = TemporaryFile(prefix="sanityd-")  # noqa: SIM115 (closed by `files`)
            self._files[number] = self._closing.enter_context(file)
        return self._files[number]

    def _records(self, number: int) -> Iterator[bytes]:
        if number in self._files:
            file = self._files[number]
            file.seek(0)
            while block := file.read(self._size * BLOCK):
                yield from self._split(block)
        yield from self._split(bytes(self._in_memory[number]))

    def _split(self, block: bytes) -> Iterator[bytes]:
        for start in range(0, len(block), self._size):
            yield block[start : start + self._size]
