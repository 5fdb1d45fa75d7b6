"""Writes rules into a rules file as a person would: below the others, in their indentation; all else stays as it is.

What is to be written is read by the loader before it replaces anything, and every rule that was there must still mean
what it meant.
"""

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sanityd.daemon.rule_changes import imprint
from sanityd.errors import RuleError, SanitydError
from sanityd.rules.load import read
from sanityd.rules.rule import RuleSet
from sanityd.rules.yaml import rules_document
from sanityd.rules.yaml.rules_document import Document

_INDENT = 2
#: `rules:` with nothing behind it, or with nothing in it; what stands before it and after it stays.
_EMPTY = re.compile(
    r"""^(?P<key>(?:rules|"rules"|'rules')\s*:)(?P<value>[ \t]*(?:\{\s*\}|~|null))?(?P<rest>[ \t]*(?:#.*)?)$"""
)
_LINES = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
#: Ends of lines, those of most files first.
_ENDS = ("\n", "\r\n", "\r")


class InsertionError(SanitydError):
    """The file is written such that nothing can be put into it."""

    hint = "Put the rules that `sanityd suggest` prints into the file by hand."


@dataclass(frozen=True, slots=True)
class Edit:
    """A file as it was and as it will be."""

    path: Path
    before: bytes
    after: bytes


def insert(
    path: Path, rules: Mapping[str, Sequence[str]], environment: Mapping[str, str] | None = None
) -> Path:
    """Write the rules, each as lines without indentation of their own, into a rules file or a folder of them.

    Returns the file that they were written into. Raises InsertionError, and RuleError when what would be written is
    wrong; the file is as it was then.
    """
    edit = plan(path, rules, environment)
    if edit.path.read_bytes() != edit.before:
        raise InsertionError(
            f"`{edit.path.name}` was changed meanwhile; nothing was written",
            "Run the command again.",
        )
    _replace(edit.path, edit.after)
    return edit.path


def plan(
    path: Path, rules: Mapping[str, Sequence[str]], environment: Mapping[str, str] | None = None
) -> Edit:
    """What `insert` would write. Raises as it does."""
    document = rules_document.parse(path)
    before = read(document, path, environment, need_rules=False)
    if twice := sorted(
        rules.keys() & document.data.get("rules", {}) if document.data.get("rules") else ()
    ):
        raise InsertionError(
            f"there is a rule `{twice[0]}` already; nothing was written", "Take another id."
        )
    file = _file(document)
    content = file.read_bytes()
    after = _inserted(document, file, content.decode("utf-8"), [*rules.values()]).encode("utf-8")
    _check(path, file, after, before, rules, environment)
    return Edit(file, content, after)


def _file(document: Document) -> Path:
    """The file of the last rule; without any, the one that has a section for them."""
    known = list(document.data.get("rules") or ())
    if known:
        return document.mark(("rules", known[-1]), key=True).path
    if "rules" not in document.data:
        raise InsertionError(
            "there is no `rules:` in the file; nothing was written",
            "Add a line `rules:` at its end.",
        )
    return document.mark(("rules",), key=True).path


def _inserted(document: Document, file: Path, text: str, rules: Sequence[Sequence[str]]) -> str:
    lines = _LINES.findall(text)
    end = max(_ENDS, key=[line[len(line.rstrip("\r\n")) :] for line in lines].count)
    ours = [
        name
        for name in document.data.get("rules") or ()
        if document.mark(("rules", name), key=True).path == file
    ]
    if not ours:
        place = document.mark(("rules",), key=True).line - 1
        lines[place] = _opened(lines[place])
        indent = _INDENT
    else:
        first, last = (document.mark(("rules", name), key=True) for name in (ours[0], ours[-1]))
        indent = first.column - 1
        if not all(
            set(lines[mark.line - 1][: mark.column - 1]) <= {" "} and indent
            for mark in (first, last)
        ):
            raise InsertionError(f"the rules in `{file.name}` stand in braces; nothing was written")
        place = _last_line(lines, last.line - 1)
    if not lines[place].endswith(_ENDS):
        lines[place] += end
    blank = [] if not ours else [end]
    new: list[str] = []
    for rule in rules:
        new += [
            *(blank if not new or ours else [end] * bool(new)),
            *(" " * indent + line + end for line in rule),
        ]
    return "".join([*lines[: place + 1], *new, *lines[place + 1 :]])


def _opened(line: str) -> str:
    """`rules: {}` without its braces, such that a block can follow."""
    ending = line[len(line.rstrip("\r\n")) :]
    found = _EMPTY.match(line.rstrip("\r\n").removeprefix("\ufeff"))
    if found is None:
        raise InsertionError("`rules:` holds something that is no rule; nothing was written")
    mark = "\ufeff" if line.startswith("\ufeff") else ""
    return f"{mark}{found['key']}{found['rest']}{ending}"


def _last_line(lines: Sequence[str], begin: int) -> int:
    """The last line of the rule that begins there: the last with something in it, before the next section."""
    last = begin
    for place in range(begin + 1, len(lines)):
        line = lines[place].rstrip("\r\n")
        if not line.strip() or line.startswith("#"):
            # A comment at the margin ends nothing.
            continue
        if not line.startswith((" ", "\t")):
            break
        last = place
    return last


def _check(
    path: Path,
    file: Path,
    after: bytes,
    before: RuleSet,
    rules: Mapping[str, Sequence[str]],
    environment: Mapping[str, str] | None,
) -> None:
    changed = f"`{file.name}` can't be added to without changing what it says; nothing was written"
    try:
        document = rules_document.parse(path, {file: after})
    except RuleError:
        # It was YAML before.
        raise InsertionError(changed) from None
    now = read(document, path, environment)
    same = all(
        name in now.rules and imprint(now.rules[name]) == imprint(rule)
        for name, rule in before.rules.items()
    )
    if not same or now.rules.keys() != before.rules.keys() | rules.keys():
        raise InsertionError(changed)


def _replace(path: Path, content: bytes) -> None:
    """At once or not at all, with the rights that the file has. A link stays a link."""
    target = path.resolve()
    if not os.access(target, os.W_OK):
        raise InsertionError(
            f"`{path.name}` may only be read; nothing was written",
            "Give yourself the right to write it.",
        )
    known = target.stat()
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(known.st_mode & 0o7777)
        with suppress(PermissionError):
            os.chown(temporary, known.st_uid, known.st_gid)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
