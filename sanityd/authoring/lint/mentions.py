"""Where a rule names a column or table: the exact words in its file. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document, texts

#: Options whose keys are columns, besides those of a short form.
_BY_COLUMN = ("columns", "on", "compare")


@dataclass(frozen=True, slots=True)
class Name:
    """A key or a text that names something."""

    place: KeyPath
    is_key: bool = False


def places(document: Document, rule: KeyPath, kind: str, word: str, *, there: bool) -> list[Name]:
    """All places in a rule that name `word`: not those where it is a part of some SQL.

    Parameters: `there` asks for names of the other table, that the rule's check looks into.
    """
    found = list(_there(document, rule, kind, word) if there else _here(document, rule, kind, word))
    return found or [*_texts(document, (*rule, kind), word), *_keys(document, (*rule, kind), word)]


def _here(document: Document, rule: KeyPath, kind: str, word: str) -> Iterator[Name]:
    for key in ("table", "key", "show"):
        yield from _texts(document, (*rule, key), word)
    for key in ("within", "window", "scan"):
        text = document.at((*rule, key))
        if isinstance(text, str) and re.search(rf" (?:of|by) {re.escape(word)}(?!\w)", text):
            yield Name((*rule, key))
    check = (*rule, kind)
    keys = list(_keys(document, check, word))
    # `on: {id: person_id}` has ours on the left and theirs on the right; `on: id` is both.
    yield from keys or (
        name
        for name in _texts(document, check, word)
        if not _is_theirs(document, check, name.place)
    )


def _there(document: Document, rule: KeyPath, kind: str, word: str) -> Iterator[Name]:
    for place, text in texts(document.at((*rule, kind)), (*rule, kind)):
        # A table in `in:`, a column in `on:`, a column with its table in `references:`.
        if f".{word}." in f".{text}." and " " not in text:
            yield Name(place)


def _texts(document: Document, place: KeyPath, word: str) -> Iterator[Name]:
    yield from (Name(found) for found, text in texts(document.at(place), place) if text == word)


def _keys(document: Document, check: KeyPath, word: str) -> Iterator[Name]:
    """Keys of the check's short form, or of its options that are about columns."""
    options = document.at(check)
    if not isinstance(options, dict):
        return
    inner = [(*check, name) for name in _BY_COLUMN if isinstance(options.get(name), dict)]
    yield from (
        Name((*place, word), is_key=True)
        for place in inner or [check]
        if word in document.at(place)
    )


def _is_theirs(document: Document, check: KeyPath, place: KeyPath) -> bool:
    below = place[len(check) :]
    return (
        len(below) > 1
        and below[0] in ("on", "compare")
        and isinstance(document.at(place[:-1]), dict)
    )
