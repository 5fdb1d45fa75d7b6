"""Words in the names of tables and columns, and rule ids made of such names. No I/O."""

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterator

#: The boundary between two words in camel case.
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_IRREGULAR = {
    "person": "people",
    "child": "children",
    "man": "men",
    "woman": "women",
    "datum": "data",
}
#: Last words of columns that reference another table: `person_id`, `country_code`.
REFERENCE_SUFFIXES = frozenset(
    {"id", "uuid", "guid", "key", "fk", "code", "no", "number", "nr", "ref"}
)


def vocabulary(text: str) -> frozenset[str]:
    """Return the set of words in a text, to search names for."""
    return frozenset(text.split())


def words(name: str) -> tuple[str, ...]:
    """Return the words of a name, in lower case: `orderLine_ID` → order, line, id."""
    return tuple(re.findall(r"[^\W_]+", _CAMEL.sub(" ", name).lower()))


def singulars(word: str) -> Iterator[str]:
    """Iterate over the possible singulars of a word; the word itself is the first."""
    yield word
    for singular, plural in _IRREGULAR.items():
        if plural == word:
            yield singular
    if word.endswith("ies"):
        yield word[:-3] + "y"
    if word.endswith("es"):
        yield word[:-2]
    if word.endswith("s"):
        yield word[:-1]


def slug(*parts: str) -> str:
    """Return a part of a rule id: lower-case ASCII letters and digits, separated by hyphens.

    For names without any such character it is the start of their hash.
    """
    text = "-".join(parts)
    decomposed = unicodedata.normalize("NFKD", _CAMEL.sub("-", text))
    ascii_text = decomposed.encode("ascii", "ignore").decode().lower()
    plain = re.sub("[^a-z0-9]+", "-", ascii_text).strip("-")
    return plain or hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:6]


def unique_id(base: str, used_ids: Collection[str]) -> str:
    """Return the id, with a number appended if it is used already."""
    number = 1
    rule_id = base
    while rule_id in used_ids:
        number += 1
        rule_id = f"{base}-{number}"
    return rule_id
