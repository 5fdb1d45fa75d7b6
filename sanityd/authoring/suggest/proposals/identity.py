"""`unique`: what names a thing names it once."""

from collections.abc import Iterator

from sanityd.authoring.suggest.naming import slug, vocabulary, words
from sanityd.authoring.suggest.profile import ColumnProfile, TableProfile
from sanityd.authoring.suggest.proposals.base import (
    ENOUGH,
    IDENTITY,
    Candidate,
    Surroundings,
    counted,
)
from sanityd.authoring.yaml_text import named
from sanityd.sources.catalog import Family

_EMAIL = frozenset({"email", "mail", "emailaddress"})
#: Last words of columns that name a row.
_NAMES = vocabulary(
    "uuid guid slug username login handle sku iban isbn ean gtin vin token number no nr reference ref "
    "code key barcode serial ssn"
)
#: Last words of columns that, together with what a row belongs to, name it.
_PLACES = vocabulary(
    "position line number no nr seq sequence rank index idx version year month day date locale"
)
_CAN_NAME = (Family.TEXT, Family.UUID, Family.INTEGER)
#: Up to how many rows of the few may share a value of a column that is unique but for mistakes.
_FEW_TWINS = 0.1


def candidates(table: TableProfile, tables: Surroundings) -> Iterator[Candidate]:
    """Single columns; pairs where no column alone names a row."""
    del tables
    singles = list(_singles(table))
    yield from singles
    if not any(len(candidate.about) == 1 and candidate.worth > IDENTITY for candidate in singles):
        yield from _pairs(table)


def _singles(table: TableProfile) -> Iterator[Candidate]:
    for name, column in table.columns.items():
        said = words(name)
        if (
            column.family not in _CAN_NAME
            or not column.filled
            or not said
            or name in _own_key(table)
        ):
            continue
        if _is_email(said) and column.family is Family.TEXT:
            if not _repeats(table, name):
                yield _single(
                    table,
                    name,
                    {"columns": name, "ignore": ["case", "spaces"]},
                    worth=5,
                    tolerance=0.05,
                )
        elif said[-1] in _NAMES and not _repeats(table, name) and not _points(said):
            yield _single(table, name, name, worth=3, tolerance=0.01)
        elif _names_rows(table, column, said):
            yield _single(table, name, name, worth=4, tolerance=0.01)
        elif column.family is Family.UUID and column.filled >= ENOUGH and not _repeats(table, name):
            yield _single(table, name, name, worth=0, tolerance=0.001)


def _names_rows(table: TableProfile, column: ColumnProfile, said: tuple[str, ...]) -> bool:
    """Of a table that nobody gave a key: what is called an id, or what seems to be one."""
    if table.info.key:
        return False
    is_id = said[-1] == "id" and column.filled == table.read and not _repeats(table, column.name)
    return is_id or column.name == table.likely_key


def _single(
    table: TableProfile, name: str, options: object, *, worth: int, tolerance: float
) -> Candidate:
    filled = table.columns[name].filled
    evidence = f"unique: {filled:,} of {counted(filled, 'value')} of {named(name)} distinct"
    rule = f"no-duplicate-{slug(name)}-in-{{table}}"
    return Candidate(
        table, rule, "unique", options, IDENTITY + worth, evidence, tolerance, about=(name,)
    )


def _pairs(table: TableProfile) -> Iterator[Candidate]:
    """A place within something, or a link between two things."""
    owners = [
        name
        for name in table.columns
        if words(name)[-1:] == ("id",) and name not in _own_key(table)
    ]
    places = [
        name
        for name, column in table.columns.items()
        if words(name)[-1:] and words(name)[-1] in _PLACES
    ]
    pairs = [(owner, place) for owner in owners for place in places if owner != place]
    # What does nothing but link two things links them once.
    links = [(owners[0], owners[1])] if len(owners) == 2 and len(table.columns) <= 5 else []
    pairs += links
    for pair in pairs[:4]:
        values = [tuple(row.get(name) for name in pair) for row in table.sample]
        known = [value for value in values if None not in value]
        # Neither alone may name the row, or the pair says nothing new.
        if len(known) < ENOUGH or (
            pair not in links and any(not _repeats(table, name) for name in pair)
        ):
            continue
        if len({*map(str, known)}) < len(known) * (1 - _FEW_TWINS):
            continue
        yield Candidate(
            table,
            f"no-duplicate-{slug(*pair)}-in-{{table}}",
            "unique",
            [*pair],
            IDENTITY - 2,
            f"unique: each pair of {named(pair[0])} and {named(pair[1])} occurs once, in {counted(table.read, 'row')}",
            tolerance=0.01,
            about=pair,
        )


def _own_key(table: TableProfile) -> set[str]:
    """Columns that name a row by themselves already."""
    return {key[0] for key in table.info.keys if len(key) == 1}


def _is_email(said: tuple[str, ...]) -> bool:
    return bool(_EMAIL & {*said}) and said[-1] not in (
        "id",
        "at",
        "count",
        "hash",
        "verified",
        "type",
        "status",
    )


def _points(said: tuple[str, ...]) -> bool:
    """A code or number of something else, such as `country_code`, is shared by many."""
    others = {
        "country",
        "currency",
        "language",
        "postal",
        "zip",
        "area",
        "phone",
        "mobile",
        "fax",
        "status",
        "error",
    }
    return bool(others & {*said}) or said in (("code",), ("key",))


def _repeats(table: TableProfile, name: str) -> bool:
    """Whether the few rows alone show that it isn't unique."""
    values = [str(value).strip().lower() for value in table.seen(name)]
    return len({*values}) < len(values) * (1 - _FEW_TWINS)
