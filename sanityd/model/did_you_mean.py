"""Suggest the name that a misspelt word was probably meant to be."""

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """`did you mean …?` for a word that is nearly one of the known ones; nothing when none is near."""
    plain = {name.lower().replace("_", "-"): name for name in known}
    near = difflib.get_close_matches(word.lower().replace("_", "-"), plain, n=1, cutoff=likeness)
    return f"did you mean `{plain[near[0]]}`?" if near else ""
