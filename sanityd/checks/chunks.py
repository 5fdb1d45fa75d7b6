"""Long lists in parts, as a statement has a limited size."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")

#: How many keys one statement asks for.
KEYS_PER_STATEMENT = 200


def chunks(items: Iterable[Item], size: int = KEYS_PER_STATEMENT) -> Iterator[tuple[Item, ...]]:
    """Yield the items in order, in tuples of `size` and a last one of what is left."""
    rest = iter(items)
    while chunk := tuple(islice(rest, size)):
        yield chunk
