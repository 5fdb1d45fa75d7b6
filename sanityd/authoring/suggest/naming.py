"""What names of tables and columns say, and the ids of rules made of them. Pure."""

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterator

#: The end of a camel-cased word, the beginning of the next.
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_IRREGULAR = {
    "person": "people",
    "child": "children",
    "man": "men",
    "woman": "women",
    "datum": "data",
}
#: What follows a name in a column that points at rows of that name.
POINTERS = frozenset({"id", "uuid", "guid", "key", "fk", "code", "no", "number", "nr", "ref"})


def vocabulary(text: str) -> frozenset[str]:
    """Words to be looked for in names."""
    return frozenset(text.split())


def words(name: str) -> tuple[str, ...]:
    """The words of a name, in lower case: `orderLine_ID` → order, line, id."""
    return tuple(re.findall(r"[^\W_]+", _CAMEL.sub(" ", name).lower()))


def singulars(word: str) -> Iterator[str]:
    """What one of them may be called, the word itself included."""
    yield word
    yield from (one for one, many in _IRREGULAR.items() if many == word)
    if word.endswith("ies"):
        yield word[:-3] + "y"
    if word.endswith("es"):
        yield word[:-2]
    if word.endswith("s"):
        yield word[:-1]


def slug(*parts: str) -> str:
    """A part of an id: small letters and digits with hyphens. What has none of these becomes a few digits, the same
    each time."""
    text = "-".join(parts)
    plain = (
        unicodedata.normalize("NFKD", _CAMEL.sub("-", text))
        .encode("ascii", "ignore")
        .decode()
        .lower()
    )
    found = re.sub("[^a-z0-9]+", "-", plain).strip("-")
    return found or hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:6]


def distinct(wanted: str, taken: Collection[str]) -> str:
    """The id, with a number behind it where it is taken."""
    number, name = 1, wanted
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name
