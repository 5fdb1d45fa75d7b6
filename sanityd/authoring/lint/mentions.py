"""Find where a rule names a column or table: the positions of the word in its file. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document, texts

#: Options whose keys are columns, in addition to the keys of a short form.
_COLUMN_OPTIONS = ("columns", "on", "compare")


@dataclass(frozen=True, slots=True)
class Mention:
    """A key or a text that names something."""

    path: KeyPath
    is_key: bool = False


def mentions_of(
    document: Document, rule: KeyPath, kind: str, word: str, *, in_other_table: bool
) -> list[Mention]:
    """Return the positions in a rule that name `word`, without those inside of SQL.

    Parameters: `in_other_table` asks for names of the other table that the rule's check reads.
    """
    if in_other_table:
        mentions = list(_of_other_table(document, (*rule, kind), word))
    else:
        mentions = list(_of_own_table(document, rule, kind, word))
    if mentions:
        return mentions
    check = (*rule, kind)
    return [*_texts(document, check, word), *_keys(document, check, word)]


def _of_own_table(document: Document, rule: KeyPath, kind: str, word: str) -> Iterator[Mention]:
    for option in ("table", "key", "show"):
        yield from _texts(document, (*rule, option), word)
    for option in ("within", "window", "scan"):
        text = document.at((*rule, option))
        if isinstance(text, str) and re.search(rf" (?:of|by) {re.escape(word)}(?!\w)", text):
            yield Mention((*rule, option))
    check = (*rule, kind)
    keys = list(_keys(document, check, word))
    if keys:
        yield from keys
        return
    # `on: {id: person_id}` has the own column as key, the other one as value; `on: id` is both.
    for mention in _texts(document, check, word):
        if not _is_other_column(document, check, mention.path):
            yield mention


def _of_other_table(document: Document, check: KeyPath, word: str) -> Iterator[Mention]:
    for path, text in texts(document.at(check), check):
        # A table in `in:`, a column in `on:`, a column with its table in `references:`.
        if f".{word}." in f".{text}." and " " not in text:
            yield Mention(path)


def _texts(document: Document, parent: KeyPath, word: str) -> Iterator[Mention]:
    for path, text in texts(document.at(parent), parent):
        if text == word:
            yield Mention(path)


def _keys(document: Document, check: KeyPath, word: str) -> Iterator[Mention]:
    """Yield the keys of the check's short form, or of its options about columns."""
    options = document.at(check)
    if not isinstance(options, dict):
        return
    mappings = [(*check, name) for name in _COLUMN_OPTIONS if isinstance(options.get(name), dict)]
    for path in mappings or [check]:
        if word in document.at(path):
            yield Mention((*path, word), is_key=True)


def _is_other_column(document: Document, check: KeyPath, path: KeyPath) -> bool:
    """Whether the text is the value of a mapping of own columns to columns of the other table."""
    below = path[len(check) :]
    if len(below) < 2 or below[0] not in ("on", "compare"):
        return False
    return isinstance(document.at(path[:-1]), dict)
