"""Markdown of which no part can be steered by what it shows.

Everything that comes from the data, from people or from the rules file becomes code, where no
link, image, mention, HTML or heading is possible, and hidden characters are made visible.
"""

import re

from sanityd.alerts.compose.sanitize import escape_hidden

_PLAIN = re.compile(r"[A-Za-z0-9 ,.;:'()%/…-]+")
_LIMIT = 400


def code(text: str, limit: int = _LIMIT) -> str:
    """Return a text as code within a line; for an empty one `(empty)`, in words."""
    safe = escape_hidden(text, limit)
    if not safe.strip():
        return "(empty)"
    fence = "`" * (_longest_run(safe) + 1)
    if "`" in safe or safe != safe.strip():
        safe = f" {safe} "
    return f"{fence}{safe}{fence}"


def words(text: str) -> str:
    """Return a text of sanityd as it is, if it has only letters, digits and harmless signs; as code
    otherwise, since it may contain names or errors."""
    plain = text.replace("`", "")
    if _PLAIN.fullmatch(plain) and "://" not in plain and "www." not in plain.lower():
        return plain
    return code(text)


def code_block(text: str, language: str) -> list[str]:
    """Return the lines of a text as a block of code."""
    fence = "`" * max(_longest_run(text) + 1, 3)
    lines = [escape_hidden(line, 2000) for line in text.rstrip("\n").split("\n")]
    return [f"{fence}{language}", *lines, fence]


def _longest_run(text: str) -> int:
    """Return the length of the longest run of backticks."""
    return max(map(len, re.findall("`+", text)), default=0)
