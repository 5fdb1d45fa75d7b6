"""Insert rules into a rules file below the existing ones, with the same indentation.

Everything else in the file stays as it is. Before the file is replaced, the loader reads the new
content, and each existing rule must still mean the same.
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
#: A line with the key `rules:`, without a value or with an empty one, and perhaps a comment.
_EMPTY_RULES = re.compile(
    r"""^(?P<key>(?:rules|"rules"|'rules')\s*:)"""
    r"(?P<value>[ \t]*(?:\{\s*\}|~|null))?(?P<rest>[ \t]*(?:#.*)?)$"
)
_LINES = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
#: Line endings, the most common first.
_LINE_ENDINGS = ("\n", "\r\n", "\r")
_BYTE_ORDER_MARK = "\ufeff"


class InsertionError(SanitydError):
    """Rules can't be inserted into the file as it is written."""

    hint = "Put the rules that `sanityd suggest` prints into the file by hand."


@dataclass(frozen=True, slots=True)
class Edit:
    """The content of a file before and after an insertion."""

    path: Path
    before: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class _Position:
    """The index of the line to insert after, and the indentation of the rules."""

    line: int
    indent: int


def insert(
    path: Path, rules: Mapping[str, Sequence[str]], environment: Mapping[str, str] | None = None
) -> Path:
    """Write the rules into a rules file, or into a file of a folder of them. Returns that file.

    Parameters: `rules` maps each id to the lines of the rule, without indentation. Raises
    InsertionError, and RuleError when a new rule is wrong; the file is unchanged then.
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
    """Return the change that `insert` would write. Raises the same errors."""
    document = rules_document.parse(path)
    old_rules = read(document, path, environment, need_rules=False)
    duplicates = sorted(set(_rule_ids(document)) & rules.keys())
    if duplicates:
        raise InsertionError(
            f"there is a rule `{duplicates[0]}` already; nothing was written", "Take another id."
        )
    file = _target_file(document)
    content = file.read_bytes()
    new_text = _with_rules(document, file, content.decode("utf-8"), list(rules.values()))
    edit = Edit(file, content, new_text.encode("utf-8"))
    _verify(path, edit, old_rules, rules, environment)
    return edit


def _rule_ids(document: Document) -> list[str]:
    return list(document.data.get("rules") or ())


def _target_file(document: Document) -> Path:
    """Return the file of the last rule, else the file with an empty section `rules`."""
    rule_ids = _rule_ids(document)
    if rule_ids:
        return document.mark(("rules", rule_ids[-1]), key=True).path
    if "rules" not in document.data:
        raise InsertionError(
            "there is no `rules:` in the file; nothing was written",
            "Add a line `rules:` at its end.",
        )
    return document.mark(("rules",), key=True).path


def _with_rules(document: Document, file: Path, text: str, rules: Sequence[Sequence[str]]) -> str:
    """Return the text of the file with the rules inserted."""
    lines = _LINES.findall(text)
    line_ending = _most_common_ending(lines)
    rule_ids = [
        rule_id
        for rule_id in _rule_ids(document)
        if document.mark(("rules", rule_id), key=True).path == file
    ]
    if rule_ids:
        position = _after_last_rule(document, file, lines, rule_ids)
    else:
        line = document.mark(("rules",), key=True).line - 1
        lines[line] = _without_empty_value(lines[line])
        position = _Position(line, _INDENT)
    if not lines[position.line].endswith(_LINE_ENDINGS):
        lines[position.line] += line_ending
    new_lines: list[str] = []
    for rule in rules:
        # A blank line separates rules.
        if new_lines or rule_ids:
            new_lines.append(line_ending)
        new_lines += [" " * position.indent + line + line_ending for line in rule]
    end = position.line + 1
    return "".join([*lines[:end], *new_lines, *lines[end:]])


def _most_common_ending(lines: Sequence[str]) -> str:
    endings = [line[len(line.rstrip("\r\n")) :] for line in lines]
    return max(_LINE_ENDINGS, key=endings.count)


def _after_last_rule(
    document: Document, file: Path, lines: Sequence[str], rule_ids: Sequence[str]
) -> _Position:
    """Return the position after the last rule. Raises InsertionError for rules in braces."""
    first = document.mark(("rules", rule_ids[0]), key=True)
    last = document.mark(("rules", rule_ids[-1]), key=True)
    indent = first.column - 1
    for mark in (first, last):
        before_id = lines[mark.line - 1][: mark.column - 1]
        if before_id.strip(" ") or not indent:
            raise InsertionError(f"the rules in `{file.name}` stand in braces; nothing was written")
    return _Position(_last_line_of_rule(lines, last.line - 1), indent)


def _without_empty_value(line: str) -> str:
    """Return the line `rules: {}` without its braces, so that a block can follow."""
    content = line.rstrip("\r\n")
    line_ending = line[len(content) :]
    match = _EMPTY_RULES.match(content.removeprefix(_BYTE_ORDER_MARK))
    if match is None:
        raise InsertionError("`rules:` holds something that is no rule; nothing was written")
    prefix = _BYTE_ORDER_MARK if line.startswith(_BYTE_ORDER_MARK) else ""
    return f"{prefix}{match['key']}{match['rest']}{line_ending}"


def _last_line_of_rule(lines: Sequence[str], begin: int) -> int:
    """Return the index of the last line with content of the rule that begins at index `begin`."""
    last = begin
    for number in range(begin + 1, len(lines)):
        line = lines[number].rstrip("\r\n")
        if not line.strip() or line.startswith("#"):
            # A comment without indentation doesn't end the rule.
            continue
        if not line.startswith((" ", "\t")):
            break
        last = number
    return last


def _verify(
    path: Path,
    edit: Edit,
    old_rules: RuleSet,
    rules: Mapping[str, Sequence[str]],
    environment: Mapping[str, str] | None,
) -> None:
    """Raise InsertionError unless the edit adds the new rules and changes no other."""
    changed = InsertionError(
        f"`{edit.path.name}` can't be added to without changing what it says; nothing was written"
    )
    try:
        document = rules_document.parse(path, {edit.path: edit.after})
    except RuleError:
        # The file was valid YAML before.
        raise changed from None
    new_rules = read(document, path, environment).rules
    for rule_id, rule in old_rules.rules.items():
        if rule_id not in new_rules or imprint(new_rules[rule_id]) != imprint(rule):
            raise changed
    if new_rules.keys() != old_rules.rules.keys() | rules.keys():
        raise changed


def _replace(path: Path, content: bytes) -> None:
    """Replace the content of a file atomically. Its permissions stay; a link stays a link."""
    target = path.resolve()
    if not os.access(target, os.W_OK):
        raise InsertionError(
            f"`{path.name}` may only be read; nothing was written",
            "Give yourself the right to write it.",
        )
    status = target.stat()
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(status.st_mode & 0o7777)
        with suppress(PermissionError):
            os.chown(temporary, status.st_uid, status.st_gid)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
