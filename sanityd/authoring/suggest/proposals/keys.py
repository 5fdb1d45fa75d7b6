"""`unique`: columns, and pairs of columns, that identify a row."""

from collections.abc import Iterator
from itertools import product

from sanityd.authoring.suggest.naming import slug, vocabulary, words
from sanityd.authoring.suggest.profile import ColumnProfile, TableProfile
from sanityd.authoring.suggest.proposals.base import (
    IDENTITY,
    MIN_ROWS,
    Candidate,
    SourceContext,
    counted,
)
from sanityd.authoring.yaml_text import escaped_name
from sanityd.sources.catalog import Family

_EMAIL_WORDS = frozenset({"email", "mail", "emailaddress"})
#: Last words of columns about an e-mail address that don't hold the address.
_NO_EMAIL_WORDS = vocabulary("id at count hash verified type status")
#: Last words of columns that identify a row.
_KEY_WORDS = vocabulary(
    "uuid guid slug username login handle sku iban isbn ean gtin vin token number no nr reference"
    " ref code key barcode serial ssn"
)
#: Words for things with a code or number, such as `country_code`, that many rows share.
_SHARED_WORDS = vocabulary(
    "country currency language postal zip area phone mobile fax status error"
)
#: Names of columns that are too general to identify a row.
_GENERAL_NAMES = (("code",), ("key",))
#: Last words of columns that identify a row within its parent, such as the line of an order.
_POSITION_WORDS = vocabulary(
    "position line number no nr seq sequence rank index idx version year month day date locale"
)
_KEY_FAMILIES = (Family.TEXT, Family.UUID, Family.INTEGER)
#: Up to this share of the sample rows may be duplicates by mistake.
_MAX_DUPLICATES = 0.1
#: A table with two references and at most so many columns is a link table.
_MAX_LINK_COLUMNS = 5
#: Number of pairs for which rules are tried.
_MAX_PAIRS = 4


def candidates(table: TableProfile, context: SourceContext) -> Iterator[Candidate]:
    """Iterate over rules for single columns; for pairs, where no single column is a key."""
    del context
    has_key = False
    for candidate in _single_columns(table):
        if candidate.priority > IDENTITY:
            has_key = True
        yield candidate
    if not has_key:
        yield from _pairs(table)


def _single_columns(table: TableProfile) -> Iterator[Candidate]:
    own_keys = _single_column_keys(table)
    for name, column in table.columns.items():
        if column.family not in _KEY_FAMILIES or not column.non_null or name in own_keys:
            continue
        name_words = words(name)
        if not name_words:
            continue
        candidate = _for_column(table, column, name_words)
        if candidate is not None:
            yield candidate


def _for_column(
    table: TableProfile, column: ColumnProfile, name_words: tuple[str, ...]
) -> Candidate | None:
    """Return the rule for one column, None when it seems to be no key."""
    name = column.name
    is_distinct = not _has_duplicates(table, name)
    if column.family is Family.TEXT and _is_email(name_words):
        return _email_rule(table, name) if is_distinct else None
    if is_distinct and _names_a_key(name_words):
        return _rule(table, name, name, IDENTITY + 3, tolerance=0.01)
    if _is_missing_key(table, column, name_words):
        return _rule(table, name, name, IDENTITY + 4, tolerance=0.01)
    if is_distinct and column.family is Family.UUID and column.non_null >= MIN_ROWS:
        return _rule(table, name, name, IDENTITY, tolerance=0.001)
    return None


def _names_a_key(name_words: tuple[str, ...]) -> bool:
    return name_words[-1] in _KEY_WORDS and not _is_shared(name_words)


def _email_rule(table: TableProfile, name: str) -> Candidate:
    options = {"columns": name, "ignore": ["case", "spaces"]}
    return _rule(table, name, options, IDENTITY + 5, tolerance=0.05)


def _is_missing_key(
    table: TableProfile, column: ColumnProfile, name_words: tuple[str, ...]
) -> bool:
    """Return whether a column seems to be the key of a table without a declared one."""
    if table.info.key:
        return False
    if column.name == table.likely_key:
        return True
    is_filled = column.non_null == table.rows_read
    return name_words[-1] == "id" and is_filled and not _has_duplicates(table, column.name)


def _rule(
    table: TableProfile, name: str, options: object, priority: int, tolerance: float
) -> Candidate:
    non_null = table.columns[name].non_null
    values = counted(non_null, "value")
    return Candidate(
        table,
        f"no-duplicate-{slug(name)}-in-{{table}}",
        "unique",
        options,
        priority,
        f"unique: {non_null:,} of {values} of {escaped_name(name)} distinct",
        tolerance=tolerance,
        columns=(name,),
    )


def _pairs(table: TableProfile) -> Iterator[Candidate]:
    """Iterate over rules for a position within a parent, and for a link between two tables."""
    references = _reference_columns(table)
    positions = [name for name in table.columns if _last_word(name) in _POSITION_WORDS]
    pairs = [pair for pair in product(references, positions) if pair[0] != pair[1]]
    # A table that only links two others links the same rows once.
    link = None
    if len(references) == 2 and len(table.columns) <= _MAX_LINK_COLUMNS:
        link = (references[0], references[1])
        pairs.append(link)
    for pair in pairs[:_MAX_PAIRS]:
        if _is_key(table, pair, is_link=pair == link):
            yield _pair_rule(table, pair)


def _reference_columns(table: TableProfile) -> list[str]:
    """Return the columns that end in `id` and are no key themselves."""
    own_keys = _single_column_keys(table)
    return [name for name in table.columns if _last_word(name) == "id" and name not in own_keys]


def _last_word(name: str) -> str | None:
    name_words = words(name)
    return name_words[-1] if name_words else None


def _is_key(table: TableProfile, pair: tuple[str, str], *, is_link: bool) -> bool:
    """Return whether a pair of columns, and no single one of them, is unique in the sample."""
    values = []
    for row in table.sample:
        value = tuple(row.get(name) for name in pair)
        if None not in value:
            values.append(value)
    if len(values) < MIN_ROWS:
        return False
    # If one column alone is unique, the pair says nothing new.
    if not is_link and not all(_has_duplicates(table, name) for name in pair):
        return False
    distinct = {str(value) for value in values}
    return len(distinct) >= len(values) * (1 - _MAX_DUPLICATES)


def _pair_rule(table: TableProfile, pair: tuple[str, str]) -> Candidate:
    first, second = pair
    rows = counted(table.rows_read, "row")
    return Candidate(
        table,
        f"no-duplicate-{slug(first, second)}-in-{{table}}",
        "unique",
        [first, second],
        IDENTITY - 2,
        f"unique: each pair of {escaped_name(first)} and {escaped_name(second)} occurs once,"
        f" in {rows}",
        tolerance=0.01,
        columns=pair,
    )


def _single_column_keys(table: TableProfile) -> set[str]:
    """Return the columns that are a declared key on their own."""
    return {key[0] for key in table.info.keys if len(key) == 1}


def _is_email(name_words: tuple[str, ...]) -> bool:
    return not _EMAIL_WORDS.isdisjoint(name_words) and name_words[-1] not in _NO_EMAIL_WORDS


def _is_shared(name_words: tuple[str, ...]) -> bool:
    """Return whether many rows may share a value, such as a `country_code`."""
    return not _SHARED_WORDS.isdisjoint(name_words) or name_words in _GENERAL_NAMES


def _has_duplicates(table: TableProfile, name: str) -> bool:
    """Return whether the sample alone shows that a column isn't unique."""
    values = [str(value).strip().lower() for value in table.sample_values(name)]
    return len(set(values)) < len(values) * (1 - _MAX_DUPLICATES)
