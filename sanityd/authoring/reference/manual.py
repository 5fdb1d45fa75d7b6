"""The manual of check kinds and channels, from their docstrings and fields.

`sanityd kinds` and the reference show it. `python -m sanityd.authoring.reference.manual kinds`
prints the page `docs/reference/kinds.md`, `… channels` that of the channels.
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
    """One option of a kind, as rules files write it."""

    name: str
    default: str
    meaning: str


def summary(kind: str, room: str = "checks") -> str:
    """Return the first sentence of the manual of a kind of check (or of `channels`)."""
    return text(kind, room).partition("\n\n")[0].replace("\n", " ")


def text(kind: str, room: str = "checks") -> str:
    """Return the whole manual of a kind."""
    return inspect.getdoc(plugins.load_kind(room, kind)) or ""


def options(kind: str, room: str = "checks") -> Iterator[Option]:
    """Yield the options of a kind of check (or of `channels`), in order."""
    fields = plugins.load_kind(room, kind).model_fields
    # What all channels share comes last.
    for name, field in sorted(fields.items(), key=lambda item: item[0] == "events"):
        # The name of a channel is the key of its entry.
        if (room, name) != ("channels", "name"):
            yield Option(field.alias or name, _default(field), field.description or "")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def page() -> str:
    """Return the reference page of all kinds, in Markdown."""
    parts = ["# The check kinds\n\n<!-- Written by `scripts/docs` from the docstrings. -->\n"]
    for kind in plugins.kind_names("checks"):
        table = _table(list(options(kind)))
        parts.append(f"## {kind}\n\n{text(kind)}\n\n{table}\n")
    return "\n".join(parts)


def _table(listed: Sequence[Option]) -> str:
    """Return the options as a table, without a column of meanings when all are empty."""
    width = 3 if any(option.meaning for option in listed) else 2
    rows = [("option", "default", "meaning")]
    rows += [(f"`{option.name}`", option.default, option.meaning) for option in listed]
    head, *lines = ("| " + " | ".join(row[:width]) + " |" for row in rows)
    return "\n".join([head, "|---" * width + "|", *lines])


_CHANNELS = """\
# The channels

<!-- Written by `scripts/docs` from the docstrings. -->

An entry of `channels:` is a way to reach people, under a name that rules and owners use: \
`notify: [team-mail]`. Each
recipient gets a message of their own. URLs, tokens and passwords come from the environment \
(`${NAME}`), and are never
printed. Digests go to `email` and `file`. A channel is notified of everything, or only of its \
`events`: `opened`, `escalated`,
`updated`, `reminder`, `resolved`, `source_down`, `errored`, `downgrade_notice`, `downgraded`, \
`restored`, `flapping_started`,
`flapping_ended`, `remedy_stopped`, `remedy_failed`, `digest`. The others are recorded as \
[`not_taken`](../explanation/alerting.md#who-is-notified-and-why-not).
Which messages are sent again, and for how long: see \
[the outbox](../explanation/alerting.md#the-outbox).
"""


def channels_page() -> str:
    """Return the reference page of all channels, in Markdown."""
    parts = [_CHANNELS]
    for kind in plugins.kind_names("channels"):
        manual_text = _fenced(text(kind, "channels"))
        table = _table(list(options(kind, "channels")))
        parts.append(f"## {kind}\n\n{manual_text}\n\n{table}\n")
    return "\n".join(parts)


def _fenced(text: str) -> str:
    """Return the text with its indented examples as blocks of YAML."""
    return re.sub(r"(?:^ {4}.*\n)+", _yaml_block, text, flags=re.MULTILINE)


def _yaml_block(example: re.Match[str]) -> str:
    return f"```yaml\n{inspect.cleandoc(example[0])}\n```\n"


#: The pages by the word on the command line.
_PAGES = {"kinds": page, "channels": channels_page}

if __name__ == "__main__":
    sys.stdout.write(_PAGES[sys.argv[1]]())
