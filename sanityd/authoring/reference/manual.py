"""The manual of check kinds and channels, from their docstrings and fields: what `kinds` and the
reference show.

`python -m sanityd.authoring.reference.manual kinds` prints the page `docs/reference/kinds.md`, `… channels` that of the channels.
"""

import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic.fields import FieldInfo

from sanityd import plugins


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a kind, as rules write it."""

    name: str
    default: str
    meaning: str


def summary(kind: str, room: str = "checks") -> str:
    """What the kind of check (or of `channels`) says, in one sentence."""
    return text(kind, room).partition("\n\n")[0].replace("\n", " ")


def text(kind: str, room: str = "checks") -> str:
    """The whole manual of a kind."""
    return inspect.getdoc(plugins.lookup(room, kind)) or ""


def options(kind: str, room: str = "checks") -> Iterator[Option]:
    """The options of a kind of check (or of `channels`), in order."""
    for name, field in plugins.lookup(room, kind).model_fields.items():
        if (room, name) != ("channels", "name"):  # that is the key of its entry
            yield Option(field.alias or name, _default(field), field.description or "")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return (
        "none"
        if value is None or value == []
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )


def page() -> str:
    """The reference page of all kinds, in Markdown."""
    parts = ["# The check kinds\n\n<!-- Written by `scripts/docs` from the docstrings. -->\n"]
    parts += (
        f"## {kind}\n\n{text(kind)}\n\n{_table(list(options(kind)))}\n"
        for kind in plugins.names("checks")
    )
    return "\n".join(parts)


def _table(listed: Sequence[Option]) -> str:
    """Options whose meanings are all told by the text above have no column for them."""
    has_meanings = any(option.meaning for option in listed)
    rows = [("option", "default", "meaning")]
    rows += [(f"`{option.name}`", option.default, option.meaning) for option in listed]
    width = 3 if has_meanings else 2
    head, *lines = ("| " + " | ".join(row[:width]) + " |" for row in rows)
    return "\n".join([head, "|---" * width + "|", *lines])


_CHANNELS = """\
# The channels

<!-- Written by `scripts/docs` from the docstrings. -->

An entry of `channels:` is a way to reach people, under a name that rules and owners use: `notify: [team-mail]`. Each
recipient gets a message of their own. URLs, tokens and passwords come from the environment (`${NAME}`), and are never
printed. Digests go to `email` and `file`. What is tried again, and for how long, is told in
[the outbox](../explanation/alerting.md#the-outbox).
"""


def channels_page() -> str:
    """The reference page of all channels, in Markdown."""
    parts = [_CHANNELS]
    for kind in plugins.names("channels"):
        told = _fenced(text(kind, "channels"))
        parts.append(f"## {kind}\n\n{told}\n\n{_table(list(options(kind, 'channels')))}\n")
    return "\n".join(parts)


def _fenced(text: str) -> str:
    """An indented example as one of YAML."""
    return re.sub(
        r"(?:^ {4}.*\n)+",
        lambda found: f"```yaml\n{inspect.cleandoc(found[0])}\n```\n",
        text,
        flags=re.MULTILINE,
    )


if __name__ == "__main__":
    sys.stdout.write({"kinds": page, "channels": channels_page}[sys.argv[1]]())
