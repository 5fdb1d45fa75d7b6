"""A rule with one of its clauses left out, for each clause. Whatever no example notices is not
shown by any. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from sanityd.checks.base import Check
from sanityd.checks.invariant import Invariant

#: Options that list columns, of which each has a meaning of its own.
_LISTS = ("columns", "on", "compare", "per", "by")
_SUBJECT: Mapping[str, tuple[str, Any]] = {
    "where": ("where", None),
    "within": ("within", None),
    "window": ("window", None),
    "nulls_fail": ("nulls: fail", False),
    "empty_fails": ("when_empty", None),
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A rule without something: what that is, as people call it, and the larger clause that it is a
    part of."""

    label: str
    invariant: Invariant
    part_of: str = ""


def mutants(invariant: Invariant, dialect: str) -> Iterator[Mutant]:
    """The rule without each of its clauses, larger ones before their parts."""
    subject, check = invariant.subject, invariant.check
    for name, (label, without) in _SUBJECT.items():
        if getattr(subject, name) != without:
            yield Mutant(
                f"`{label}`", replace(invariant, subject=replace(subject, **{name: without}))
            )
    for part, rest in _conjuncts(subject.where or "", dialect):
        yield Mutant(
            f"`{part}` in `where`",
            replace(invariant, subject=replace(subject, where=rest)),
            "`where`",
        )
    for name, field in type(check).model_fields.items():
        key, value = field.alias or name, getattr(check, name)
        whole = f"`{key}` of `{check.kind}`"
        default = field.get_default(call_default_factory=True)
        if name in check.model_fields_set and not field.is_required() and value != default:
            yield from (
                Mutant(whole, replace(invariant, check=one)) for one in _made(check, key, None)
            )
        for label, less in _parts(check, key, value, dialect):
            yield from (
                Mutant(label, replace(invariant, check=one), whole)
                for one in _made(check, key, less)
            )


def _parts(check: Check, key: str, value: Any, dialect: str) -> Iterator[tuple[str, Any]]:
    """An option without each of its parts: what that is, and what is left."""
    if isinstance(value, str) and value in tuple(check.sql()):
        for part, rest in _conjuncts(value, dialect):
            yield f"`{part}`" if key == check.short else f"`{part}` in `{key}`", rest
    if (
        key in _LISTS
        and isinstance(value, Mapping | Sequence)
        and not isinstance(value, str)
        and len(value) > 1
    ):
        for one in value:
            yield f"`{one}` in `{key}`", _without(value, one)


def _made(check: Check, key: str, value: Any) -> Iterator[Check]:
    """The check with another value of an option, or (None) without it; nothing where that is no
    check any more."""
    model = type(check)
    said = [
        (name, field.alias or name)
        for name, field in model.model_fields.items()
        if name in check.model_fields_set
    ]
    options = {other: getattr(check, name) for name, other in said if other != key}
    try:
        yield model.model_validate(options if value is None else {**options, key: value})
    except ValidationError:
        return


def _without(value: Any, one: str) -> Any:
    if isinstance(value, Mapping):
        return {name: item for name, item in value.items() if name != one}
    return [name for name in value if name != one]


def _conjuncts(sql: str, dialect: str) -> Iterator[tuple[str, str]]:
    """Each part of `a and b and c`, with the rest; nothing of SQL that isn't plainly of that
    form."""
    from sqlglot import TokenType, tokenize
    from sqlglot.errors import SqlglotError

    try:
        tokens = tokenize(sql, read=dialect)
    except SqlglotError:
        return
    depth, cuts = 0, []
    for token in tokens:
        kind = token.token_type
        depth += (kind in _OPEN()) - (kind in _CLOSE())
        if depth == 0 and kind in (TokenType.OR, TokenType.BETWEEN, TokenType.XOR):
            # Where AND means something else, or binds other things.
            return
        if depth == 0 and kind is TokenType.AND:
            cuts.append((token.start, token.end + 1))
    if not cuts:
        return
    starts, ends = [0, *(end for _, end in cuts)], [*(start for start, _ in cuts), len(sql)]
    parts = [sql[start:end].strip() for start, end in zip(starts, ends, strict=True)]
    for place, part in enumerate(parts):
        yield part, " and ".join(f"({other}\n)" for other in (*parts[:place], *parts[place + 1 :]))


def _OPEN() -> tuple[Any, ...]:  # noqa: N802 (a constant of a lazily imported package)
    from sqlglot import TokenType

    return TokenType.L_PAREN, TokenType.CASE


def _CLOSE() -> tuple[Any, ...]:  # noqa: N802 (as above)
    from sqlglot import TokenType

    return TokenType.R_PAREN, TokenType.END
