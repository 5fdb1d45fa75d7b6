"""`accepted_values`: columns of codes, such as a status, with the few words that they hold.

The words are written into the rules file, so only columns whose name says that they hold codes are asked, and words
that could be about a person, or aren't short, are never written.
"""

import re
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher

from sanityd.authoring.suggest.naming import slug, vocabulary, words
from sanityd.authoring.suggest.profile import ColumnProfile, TableProfile
from sanityd.authoring.suggest.proposals.base import CODE, ENOUGH, Candidate, Surroundings, counted
from sanityd.authoring.yaml_text import named
from sanityd.sources.catalog import Family

#: The last word of a column of codes.
_CODES = vocabulary(
    "status state type kind category currency level role priority mode method channel stage phase plan "
    "tier severity result outcome direction unit locale language template resolution visibility platform "
    "environment"
)
#: Words in a name that make it personal whatever its last word is.
_PERSONAL = vocabulary(
    "name first last sex gender religion ethnic ethnicity race health blood diagnosis medical marital "
    "address birth political sexual disability relationship family"
)
#: A code: one or a few short words of letters, or a single digit or two.
_CODE = re.compile(r"[A-Za-z][A-Za-z_-]{0,23}[0-9]?([ ][a-z]{1,12}){0,2}|[0-9]{1,2}")
MOST = 12
#: How often a code must occur on average to be one.
OFTEN = 5
#: A word that occurs so few times, and in no more than that share of the rows, is taken for a mistake.
FEW, HARDLY_EVER = 10, 0.0001
#: One of so many letters that is like a word that occurs so many times as often is that word, misspelt.
SHORT, ALIKE, OFTENER = 4, 0.75, 50
#: Up to which share of the rows a word that is spelled like another is a mistake.
RARE = 0.05


def is_code(column: ColumnProfile) -> bool:
    """Whether a column holds codes, by its name and type. Of an enum the type says which."""
    said = words(column.name)
    if not said or column.family not in (Family.TEXT, Family.INTEGER) or not column.filled:
        return False
    return said[-1] in _CODES and not _PERSONAL & {*said}


def candidates(table: TableProfile, tables: Surroundings) -> Iterator[Candidate]:
    """One rule for each column of codes."""
    del tables
    for name, counts in table.words.items():
        column = table.columns[name]
        right = _without_misspelt(counts)
        total = sum(counts.values())
        if not 1 < len(right) <= MOST or total < max(ENOUGH, OFTEN * len(right)):
            continue
        if not all(_CODE.fullmatch(word) for word in right):
            continue
        # SQLite keeps words in a column of numbers, too.
        if column.family is Family.INTEGER and not all(word.isdecimal() for word in right):
            continue
        accepted = [
            int(word) if column.family is Family.INTEGER else word for word in sorted(right)
        ]
        yield Candidate(
            table,
            f"{slug(name)}-of-{{table}}-is-known",
            "accepted_values",
            {name: accepted},
            CODE,
            f"accepted_values: {named(name)}: {counted(total, 'value')} in {counted(len(accepted), 'word')}",
            tolerance=RARE,
            about=(name,),
        )


def _without_misspelt(counts: Mapping[str, int]) -> dict[str, int]:
    """The words without those that hardly occur, that differ from a frequent one in case, blanks or a slip of the
    finger only, or that are empty."""
    frequent: dict[str, str] = {}
    for word in sorted(counts, key=lambda word: -counts[word]):
        frequent.setdefault(word.strip().lower(), word)
    total = sum(counts.values())
    return {
        word: count
        for word, count in counts.items()
        if frequent[word.strip().lower()] == word
        and (count > FEW or count > HARDLY_EVER * total)
        and not (
            count <= FEW
            and any(_is_slip(word, other) for other in counts if counts[other] >= OFTENER * count)
        )
        and (word.strip() or count > RARE * total)
    }


def _is_slip(word: str, other: str) -> bool:
    """Whether one is the other with a letter wrong, missing, doubled or changed with its neighbour."""
    if min(len(word), len(other)) < SHORT or abs(len(word) - len(other)) > 1:
        return False
    return SequenceMatcher(None, word.lower(), other.lower()).ratio() >= ALIKE
