"""`accepted_values`: columns of codes, such as a status, and the few values in them.

The values are written into the rules file. So only columns whose name says that they hold codes are
read, and values that are long, or may be about a person, are never written.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any

from sanityd.authoring.suggest.naming import slug, vocabulary, words
from sanityd.authoring.suggest.profile import ColumnProfile, TableProfile
from sanityd.authoring.suggest.proposals.base import (
    CODE,
    MIN_ROWS,
    Candidate,
    SourceContext,
    counted,
)
from sanityd.authoring.yaml_text import escaped_name
from sanityd.sources.catalog import Family

#: The last words in the names of columns of codes.
_CODE_WORDS = vocabulary(
    "status state type kind category currency level role priority mode method channel stage phase"
    " plan tier severity result outcome direction unit locale language template resolution"
    " visibility platform environment"
)
#: Words in the name of a column that make its values personal, whatever its last word is.
_PERSONAL_WORDS = vocabulary(
    "name first last sex gender religion ethnic ethnicity race health blood diagnosis medical"
    " marital address birth political sexual disability relationship family"
)
#: A code is one to three short words of letters, or one or two digits.
_CODE = re.compile(r"[A-Za-z][A-Za-z_-]{0,23}[0-9]?([ ][a-z]{1,12}){0,2}|[0-9]{1,2}")
_MAX_CODES = 12
#: How often a code must occur on average.
_MIN_AVERAGE = 5
#: A value with at most this count, and at most this share of the rows, is a mistake.
_RARE_COUNT, _RARE_SHARE = 10, 0.0001
#: A value of at least `_MIN_TYPO_LENGTH` letters is the misspelling of another that is at least
#: `_MIN_SIMILARITY` similar and occurs `_TYPO_FACTOR` times as often.
_MIN_TYPO_LENGTH, _MIN_SIMILARITY, _TYPO_FACTOR = 4, 0.75, 50
#: Up to this share of the rows, other values are mistakes.
_MAX_MISTAKES = 0.05


def is_code_column(column: ColumnProfile) -> bool:
    """Return whether a column holds codes, by its name and type.

    A column of an enum type is none: its type lists the values.
    """
    name_words = words(column.name)
    if not name_words or not column.non_null:
        return False
    if column.family not in (Family.TEXT, Family.INTEGER):
        return False
    return name_words[-1] in _CODE_WORDS and _PERSONAL_WORDS.isdisjoint(name_words)


def candidates(table: TableProfile, context: SourceContext) -> Iterator[Candidate]:
    """Iterate over one rule for each column of codes."""
    del context
    for name, counts in table.value_counts.items():
        column = table.columns[name]
        codes = _without_misspelled(counts)
        total = sum(counts.values())
        if not 1 < len(codes) <= _MAX_CODES:
            continue
        if total < max(MIN_ROWS, _MIN_AVERAGE * len(codes)) or not _all_codes(column, codes):
            continue
        accepted: list[Any] = sorted(codes)
        if column.family is Family.INTEGER:
            accepted = [int(code) for code in accepted]
        values = counted(total, "value")
        yield Candidate(
            table,
            f"{slug(name)}-of-{{table}}-is-known",
            "accepted_values",
            {name: accepted},
            CODE,
            f"accepted_values: {escaped_name(name)}: {values} in {counted(len(accepted), 'word')}",
            tolerance=_MAX_MISTAKES,
            columns=(name,),
        )


def _all_codes(column: ColumnProfile, values: Collection[str]) -> bool:
    """Return whether all values look like codes of the column's type."""
    if not all(_CODE.fullmatch(value) for value in values):
        return False
    # SQLite allows text in a column of numbers, too.
    return column.family is not Family.INTEGER or all(value.isdecimal() for value in values)


def _without_misspelled(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the values without the mistakes.

    Mistakes are values that hardly occur, that differ from a frequent one only in case, blanks or a
    typing error, or that are empty.
    """
    most_frequent: dict[str, str] = {}
    for value in sorted(counts, key=lambda value: -counts[value]):
        most_frequent.setdefault(value.strip().lower(), value)
    total = sum(counts.values())
    codes = {}
    for value, count in counts.items():
        if most_frequent[value.strip().lower()] != value:
            continue
        if count <= _RARE_COUNT and count <= _RARE_SHARE * total:
            continue
        if count <= _RARE_COUNT and _is_typing_error(value, counts):
            continue
        if not value.strip() and count <= _MAX_MISTAKES * total:
            continue
        codes[value] = count
    return codes


def _is_typing_error(value: str, counts: Mapping[str, int]) -> bool:
    """Return whether a value is similar to a much more frequent one."""
    for other, count in counts.items():
        if count >= _TYPO_FACTOR * counts[value] and _is_similar(value, other):
            return True
    return False


def _is_similar(value: str, other: str) -> bool:
    """Return whether two values differ by a wrong, missing, doubled or transposed letter."""
    if min(len(value), len(other)) < _MIN_TYPO_LENGTH or abs(len(value) - len(other)) > 1:
        return False
    matcher = SequenceMatcher(None, value.lower(), other.lower())
    return matcher.ratio() >= _MIN_SIMILARITY
