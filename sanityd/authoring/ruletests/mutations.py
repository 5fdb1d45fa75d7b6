"""Leave one clause out of a rule, for each clause.

When no example notices that a clause is missing, no example shows what it is for. Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from sanityd.checks.base import Check
from sanityd.checks.invariant import Invariant

#: Options that list columns, each of which has a meaning of its own.
_COLUMN_LISTS = ("columns", "on", "compare", "per", "by")
#: Fields of a rule's subject: their names in rules, and their values when they are left out.
_SUBJECT_CLAUSES: Mapping[str, tuple[str, Any]] = {
    "where": ("where", None),
    "within": ("within", None),
    "window": ("window", None),
    "nulls_fail": ("nulls: fail", False),
    "empty_fails": ("when_empty", None),
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A rule without one clause: its name, and the larger clause that it is a part of."""

    label: str
    invariant: Invariant
    part_of: str = ""


def mutants(invariant: Invariant, dialect: str) -> Iterator[Mutant]:
    """Yield the rule without each of its clauses, larger clauses before their parts."""
    yield from _subject_mutants(invariant, dialect)
    yield from _check_mutants(invariant, dialect)


def _subject_mutants(invariant: Invariant, dialect: str) -> Iterator[Mutant]:
    subject = invariant.subject
    for name, (label, absent) in _SUBJECT_CLAUSES.items():
        if getattr(subject, name) != absent:
            shorter = replace(subject, **{name: absent})
            yield Mutant(f"`{label}`", replace(invariant, subject=shorter))
    for part, rest in _conjuncts(subject.where or "", dialect):
        shorter = replace(subject, where=rest)
        yield Mutant(f"`{part}` in `where`", replace(invariant, subject=shorter), "`where`")


def _check_mutants(invariant: Invariant, dialect: str) -> Iterator[Mutant]:
    check = invariant.check
    for name, field in type(check).model_fields.items():
        option = field.alias or name
        value = getattr(check, name)
        label = f"`{option}` of `{check.kind}`"
        is_given = name in check.model_fields_set and not field.is_required()
        if is_given and value != field.get_default(call_default_factory=True):
            shorter = _with_option(check, option, None)
            if shorter is not None:
                yield Mutant(label, replace(invariant, check=shorter))
        for part_label, rest in _parts(check, option, value, dialect):
            shorter = _with_option(check, option, rest)
            if shorter is not None:
                yield Mutant(part_label, replace(invariant, check=shorter), label)


def _parts(check: Check, option: str, value: Any, dialect: str) -> Iterator[tuple[str, Any]]:
    """Yield each part of an option: its name, and the option's value without it."""
    if isinstance(value, str):
        if value in tuple(check.sql()):
            for part, rest in _conjuncts(value, dialect):
                label = f"`{part}`" if option == check.short else f"`{part}` in `{option}`"
                yield label, rest
        return
    if option not in _COLUMN_LISTS or not isinstance(value, Mapping | Sequence) or len(value) < 2:
        return
    for column in value:
        yield f"`{column}` in `{option}`", _without(value, column)


def _with_option(check: Check, option: str, value: Any) -> Check | None:
    """Return the check with another value of an option, or without it when the value is None.

    Returns None where the check would not be valid.
    """
    model = type(check)
    options = {}
    for name, field in model.model_fields.items():
        if name in check.model_fields_set:
            options[field.alias or name] = getattr(check, name)
    options.pop(option, None)
    if value is not None:
        options[option] = value
    try:
        return model.model_validate(options)
    except ValidationError:
        return None


def _without(value: Any, column: str) -> Any:
    if isinstance(value, Mapping):
        return {name: item for name, item in value.items() if name != column}
    return [name for name in value if name != column]


def _conjuncts(sql: str, dialect: str) -> Iterator[tuple[str, str]]:
    """Yield each part of `a and b and c` with the rest; nothing for SQL of another form."""
    cuts = _and_positions(sql, dialect)
    if not cuts:
        return
    parts = []
    start = 0
    for cut_start, cut_end in cuts:
        parts.append(sql[start:cut_start].strip())
        start = cut_end
    parts.append(sql[start:].strip())
    for number, part in enumerate(parts):
        others = [*parts[:number], *parts[number + 1 :]]
        yield part, " and ".join(f"({other}\n)" for other in others)


def _and_positions(sql: str, dialect: str) -> list[tuple[int, int]]:
    """Return the start and end of each AND outside of brackets.

    Returns none for SQL that can't be tokenized, and where AND may mean or bind something else.
    """
    from sqlglot import TokenType, tokenize
    from sqlglot.errors import SqlglotError

    opening = (TokenType.L_PAREN, TokenType.CASE)
    closing = (TokenType.R_PAREN, TokenType.END)
    try:
        tokens = tokenize(sql, read=dialect)
    except SqlglotError:
        return []
    depth = 0
    positions = []
    for token in tokens:
        if token.token_type in opening:
            depth += 1
        elif token.token_type in closing:
            depth -= 1
        elif depth == 0 and token.token_type in (TokenType.OR, TokenType.BETWEEN, TokenType.XOR):
            return []
        elif depth == 0 and token.token_type is TokenType.AND:
            positions.append((token.start, token.end + 1))
    return positions
