"""Suggest the name that a misspelt word was probably meant to be."""

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, names: Iterable[str], *, likeness: float = 0.6) -> str:
    """Return `did you mean …?` with the name most like `word`; an empty text when none is near.

    Parameters: `likeness` (0 to 1) is how similar a name must be.
    """
    by_plain_name = {name.lower().replace("_", "-"): name for name in names}
    plain_word = word.lower().replace("_", "-")
    near = difflib.get_close_matches(plain_word, by_plain_name, n=1, cutoff=likeness)
    if not near:
        return ""
    return f"did you mean `{by_plain_name[near[0]]}`?"
