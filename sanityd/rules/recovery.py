"""What a rule with mistakes in it was meant to be, so that the database can be asked about the rest of it at once.

Nothing of it is ever run: a file with a mistake is refused.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import BaseModel, ValidationError
from sqlalchemy import ColumnElement

from sanityd.checks.base import AggregateCheck, Judgement, Scope
from sanityd.checks.invariant import Age
from sanityd.model import Past
from sanityd.model.did_you_mean import did_you_mean
from sanityd.rules import misplaced_keys, validation_errors

_AGES = ("within", "window")
_SOME_AGE = timedelta(hours=1)


class Unknown(AggregateCheck):
    """Stands in for a check that can't be read: it asks nothing of the table, so that the rest of the rule is asked."""

    kind: ClassVar[str] = ""

    def measures(self, scope: Scope) -> Mapping[str, ColumnElement[Any]]:
        """Nothing."""
        return {}

    def judge(
        self, measured: Mapping[str, Any], checked: int, now: Any, past: Past = ()
    ) -> Judgement:
        """Nothing is wrong."""
        return Judgement(None)

    def says(self, count: int) -> str:
        """It is never told."""
        return "is not known"


def word(name: str, known: Collection[str]) -> str | None:
    """The known key that another was meant to be, as its problem says, too; None for none."""
    found = re.search(r"`(.+)`", misplaced_keys.meant(name, known) or did_you_mean(name, known))
    return found[1] if found else None


def kind(raw: Mapping[str, Any], checks: Collection[str]) -> tuple[str, str] | None:
    """The key of a rule that was meant to be its check, and that check: `uniqe`, `unique`. None unless it is one."""
    known = [*misplaced_keys.rule_keys()]
    meant = {key: word(str(key), known) for key in raw if key not in known}
    found = [(str(key), one) for key, one in meant.items() if one is not None and one in checks]
    return found[0] if len(found) == 1 else None


def ages(raw: Mapping[str, Any], wrong: Collection[Any]) -> dict[str, Age]:
    """What is wrong of `within` and `window`, with the column that it names, and any length of time."""
    found = {}
    for key in _AGES:
        if key in wrong and isinstance(raw[key], str):
            # `ten of created_at`; or `10m created_at`, which lacks a word.
            column = raw[key].partition(" of ")[2].strip() or "".join(raw[key].split()[1:][-1:])
            if column:
                found[key] = Age(_SOME_AGE, column)
    return found


def options(raw: Any, error: ValidationError, model: type[BaseModel]) -> Iterator[Any]:
    """A check's options without what is wrong with them: misspelt ones in their right names, the likeliest first."""
    details = [one for one in error.errors(include_url=False) if one["loc"]]
    rest = validation_errors.without_unknown(raw, error)
    if isinstance(raw, dict) and isinstance(rest, dict):
        known = validation_errors.keys_of(model)
        strange = [
            str(one["loc"][0])
            for one in details
            if one["type"] == "extra_forbidden" and len(one["loc"]) == 1
        ]
        meant = {
            right: raw[key] for key in strange if (right := word(key, known)) and right not in raw
        }
        wrong = {
            one["loc"][0] for one in details if one["type"] not in ("extra_forbidden", "missing")
        }
        yield {key: value for key, value in {**rest, **meant}.items() if key not in wrong}
    yield rest
