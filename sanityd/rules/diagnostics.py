"""Problems of a rules file as text, JSON or GitHub annotations."""

import json
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from sanityd.errors import Problem

#: How much of a long line is shown around the place.
WIDTH = 100
#: How many problems are shown: nobody reads more, and a line of many may be long.
MOST = 100
#: How much of a line is looked at around the place.
_NEAR = 2000
_RED, _YELLOW, _BOLD, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[0m"


def format_problems(problems: Iterable[Problem], *, colour: bool = False) -> str:
    """Return all problems with their lines and carets, and how many there are."""
    listed = list(problems)
    errors = sum(problem.level == "error" for problem in listed)
    files = len({problem.path for problem in listed})
    parts = [_formatted(problem, colour) for problem in listed[:MOST]]
    if len(listed) > MOST:
        parts.append(f"… and {len(listed) - MOST:,} more, which are not shown.")
    counts = [_count(errors, "error")] if errors else []
    if errors < len(listed):
        counts.append(_count(len(listed) - errors, "warning"))
    ending = " Nothing was run." if errors else ""
    parts.append(f"\n{' and '.join(counts)} in {_count(files, 'file')}.{ending}")
    return "\n".join(parts)


def as_json(problems: Sequence[Problem]) -> str:
    """Return one JSON object, with a list of all problems and how many there are."""
    listed = [
        {
            "path": str(problem.path) if problem.path is not None else None,
            "line": problem.line,
            "column": problem.column,
            "end_column": problem.column + problem.length,
            "level": problem.level,
            "message": problem.message,
            "advice": problem.advice,
        }
        for problem in problems
    ]
    errors = sum(problem.level == "error" for problem in problems)
    return json.dumps(
        {"problems": listed, "errors": errors, "warnings": len(listed) - errors}, indent=2
    )


def as_github(problems: Iterable[Problem]) -> str:
    """Return commands of GitHub Actions, which shows them beside the lines of a pull request."""
    return "\n".join(_github_command(problem) for problem in problems)


def _github_command(problem: Problem) -> str:
    file = _property(str(problem.path or "rules"))
    line, column = max(1, problem.line), max(1, problem.column)
    position = f"line={line},col={column},endColumn={column + problem.length}"
    text = _data(f"{problem.message}\n{problem.advice}".strip())
    return f"::{problem.level} file={file},{position},title=sanityd::{text}"


def _data(text: str) -> str:
    lines = "\n".join(_shown(line) for line in text.split("\n"))
    return lines.replace("%", "%25").replace("\n", "%0A")


def _property(text: str) -> str:
    return _shown(text).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")


def in_colour(stream: IO[str]) -> bool:
    """Whether to print colours: in a terminal that has them, unless NO_COLOR or FORCE_COLOR is
    set."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (
        stream.isatty() and os.environ.get("TERM") != "dumb"
    )


def first_of(problems: Sequence[Problem]) -> str:
    """Return the first problem in one line, and how many more there are."""
    first, more = problems[0], len(problems) - 1
    location = _location(first.path, first.line, first.column)
    line = f"{location}: {first.level}: {_shown(first.message)}"
    return f"{line} (and {more:,} more)" if more else line


def without_secrets(text: str) -> str:
    """Return the text with `***` in place of the passwords in it."""
    return _SECRET.sub("***", text)


def as_advice(hint: str) -> str:
    """Return the hint of an error in the form of an advice: no capital, no full stop."""
    lower = hint[:1].lower() + hint[1:] if hint[1:2].islower() else hint
    return lower.removesuffix(".")


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return the problems in the order of the files."""
    return tuple(
        sorted(problems, key=lambda problem: (str(problem.path), problem.line, problem.column))
    )


def _formatted(problem: Problem, colour: bool) -> str:
    red = (_YELLOW if problem.level == "warning" else _RED) if colour else ""
    bold, plain = (_BOLD, _PLAIN) if colour else ("", "")
    location = _location(problem.path, problem.line, problem.column)
    head = f"{bold}{location}: {red}{problem.level}:{plain} {_shown(problem.message)}"
    if not problem.source_line.strip():
        return f"{head}\n        {_shown(problem.advice)}" if problem.advice else head
    before, at, after = _around(problem)
    pad = " " * _columns(before)
    caret = f"{red}{'^' * max(1, _columns(at))}{plain}"
    source = f"{problem.line:>5} | {before}{at}{after}"
    return f"{head}\n{source}\n      | {pad}{caret} {_shown(problem.advice)}".rstrip()


def _location(path: Path | None, line: int, column: int) -> str:
    name = str(path) if path is not None else "rules"
    return f"{name}:{line}:{column}" if line else name


#: A password in a URL, also in one without its beginning, or after a word that announces one.
_SECRET = re.compile(
    r"(?<=://)[^\s\"'/@]*:[^\s\"']*(?=@)|"
    r"(?<!\w)[\w.%+-]+:(?!//)[^\s\"'@]+(?=@)|"
    r"(?:(?<=/md:)|(?<=/motherduck:))[^\s\"'?]+|"
    r"(?i:(?<=password=)|(?<=passwd=)|(?<=token=)|(?<=secret=))[^\s&\"']+"
)


#: A name and password that are nothing but names of variables.
_NAMES = re.compile(r"(?:\$\{\w+\})*:?(?:\$\{\w+\})+")


def _masked(secret: re.Match[str]) -> str:
    """Return stars for a secret, as many as it has characters, so that the caret fits."""
    if _NAMES.fullmatch(secret[0]):
        return secret[0]
    return "*" * len(secret[0])


def _around(problem: Problem) -> tuple[str, str, str]:
    """Return the line in three parts: before, at and after the place; cut, and safe to print."""
    skipped = max(0, problem.column - 1 - _NEAR)
    start, end = problem.column - 1 - skipped, problem.column - 1 - skipped + problem.length
    line = _SECRET.sub(_masked, problem.source_line[skipped : skipped + 2 * _NEAR])
    before, at, after = line[:start], line[start:end][:WIDTH], line[end:]
    if len(before) > WIDTH // 2:
        before = "…" + before[-WIDTH // 2 :]
    room = max(0, WIDTH - len(before) - len(at))
    return _shown(before), _shown(at), _shown(after[:room] + ("…" if len(after) > room else ""))


def _shown(text: str) -> str:
    """Return the text with control characters made visible; a tab is a blank, so that carets
    fit."""
    text = text.replace("\t", " ")
    return "".join(char if _is_plain(char) else f"\\u{ord(char):04x}" for char in text)


def _is_plain(char: str) -> bool:
    return unicodedata.category(char) not in ("Cc", "Cf", "Zl", "Zp", "Cs")


def _columns(text: str) -> int:
    """Return how many columns of a terminal the text takes."""
    columns = 0
    for char in text:
        if unicodedata.combining(char):
            continue
        columns += 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1
    return columns


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
