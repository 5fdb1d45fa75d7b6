"""The manual of the check kinds, from their docstrings and fields: what `sanityd kinds` shows and the reference prints.

`python -m sanityd.authoring.manual` prints the page `docs/reference/kinds.md`.
"""

import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from sanityd import plugins


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a kind, as rules write it."""

    name: str
    default: str
    meaning: str


def summary(kind: str) -> str:
    """What the kind says, in one sentence."""
    return text(kind).partition("\n\n")[0].replace("\n", " ")


def text(kind: str) -> str:
    """The whole manual of a kind."""
    return inspect.getdoc(plugins.lookup("checks", kind)) or ""


def options(kind: str) -> Iterator[Option]:
    """The kind's options, in order."""
    for name, field in plugins.lookup("checks", kind).model_fields.items():
        default = "required" if field.is_required() else _default(field.get_default(call_default_factory=True))
        yield Option(field.alias or name, default, field.description or "")


def _default(value: object) -> str:
    return "none" if value is None or value == [] else str(value).lower() if isinstance(value, bool) else str(value)


def page() -> str:
    """The reference page of all kinds, in Markdown."""
    parts = ["# The check kinds\n\n<!-- Written by `scripts/docs` from the docstrings. -->\n"]
    for kind in plugins.names("checks"):
        rows = "\n".join(f"| `{option.name}` | {option.default} | {option.meaning} |" for option in options(kind))
        parts.append(f"## {kind}\n\n{text(kind)}\n\n| option | default | meaning |\n|---|---|---|\n{rows}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
