"""Error recovery, as in a compiler: which parts of a rule with errors are still valid.

`lint --connect` asks the database about these parts, so that all errors are reported in one round.
A misspelt key is read as the key that its error message suggests. Nothing that is recovered is ever
run: a file with an error is refused.
"""

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sanityd.model.did_you_mean import did_you_mean
from sanityd.model.durations import written_duration
from sanityd.rules import misplaced_keys, validation_errors
from sanityd.rules.spec import RuleSpec
from sanityd.rules.validation_errors import UNKNOWN_KEY

_AGE_OPTIONS = ("within", "window")


def suggested_key(name: str, known_keys: Collection[str]) -> str | None:
    """Return the known key that the error message of an unknown key suggests; None for none."""
    suggestion = misplaced_keys.synonym_advice(name, known_keys) or did_you_mean(name, known_keys)
    quoted_word = re.search(r"`(.+)`", suggestion)
    return quoted_word[1] if quoted_word else None


def misspelt_check(raw: Mapping[str, Any], kinds: Collection[str]) -> tuple[str, str] | None:
    """Return the key of a rule that is a misspelt check, and that check: `uniqe`, `unique`.

    Returns None unless there is exactly one such key.
    """
    known_keys = list(misplaced_keys.rule_keys())
    candidates = []
    for key in raw:
        if key in known_keys:
            continue
        suggestion = suggested_key(str(key), known_keys)
        if suggestion is not None and suggestion in kinds:
            candidates.append((str(key), suggestion))
    return candidates[0] if len(candidates) == 1 else None


def age_columns(raw: Mapping[str, Any], invalid_keys: Collection[Any]) -> tuple[str, ...]:
    """Return the columns that an invalid `within` or `window` names."""
    columns = []
    for key in _AGE_OPTIONS:
        text = raw.get(key)
        if key not in invalid_keys or not isinstance(text, str):
            continue
        column = text.partition(" of ")[2].strip()
        words = text.split()
        if not column and len(words) > 1 and not written_duration(text):
            # `10m created_at`, without the `of`; but not `3 weeks`.
            column = words[-1]
        if column:
            columns.append(column)
    return tuple(columns)


def known_options(raw: Any, error: ValidationError) -> Any:
    """Return the options of a check without those that are unknown to its model."""
    options = raw
    for details in error.errors(include_url=False):
        if details["type"] == UNKNOWN_KEY:
            options = _without(options, details["loc"])
    return options


def corrected_options(raw: Any, error: ValidationError, model: type[BaseModel]) -> Any:
    """Return the options of a check without invalid ones, and with misspelt ones spelt right."""
    options = known_options(raw, error)
    if not isinstance(raw, dict) or not isinstance(options, dict):
        return options
    details = [item for item in error.errors(include_url=False) if item["loc"]]
    corrected = {**options, **_respelt(raw, details, validation_errors.keys_of(model))}
    for item in details:
        if item["type"] not in (UNKNOWN_KEY, "missing"):
            corrected.pop(item["loc"][0], None)
    return corrected


def _respelt(
    raw: Mapping[str, Any], details: list[ErrorDetails], known_keys: list[str]
) -> dict[str, Any]:
    """Return the values of unknown keys under the keys that are suggested for them."""
    respelt = {}
    for item in details:
        if item["type"] != UNKNOWN_KEY or len(item["loc"]) > 1:
            continue
        misspelt = str(item["loc"][0])
        suggestion = suggested_key(misspelt, known_keys)
        if suggestion is not None and suggestion not in raw:
            respelt[suggestion] = raw[misspelt]
    return respelt


def _without(options: Any, location: tuple[str | int, ...]) -> Any:
    """Return a copy of the options without the key at a location."""
    key, rest = location[0], location[1:]
    if not isinstance(options, dict) or key not in options:
        return options
    copy = dict(options)
    if rest:
        copy[key] = _without(options[key], rest)
    else:
        del copy[key]
    return copy


def valid_evidence(raw: Any) -> dict[str, Any] | None:
    """Return the queries of `evidence` that are valid by themselves; None without any."""
    valid = {}
    for name, query in raw.items() if isinstance(raw, dict) else ():
        with suppress(ValidationError):
            RuleSpec.model_validate({"evidence": {name: query}})
            valid[name] = query
    return valid or None
