"""A file of environment variables (`.env`) → names and values. No value is ever printed."""

import re
from pathlib import Path

from sanityd.errors import Problem, RuleError
from sanityd.rules.file_reader import read_file

_LARGEST = 1_000_000
_NAME = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=[ \t]*")
#: The forms of a value, each with what may follow it.
_END = r"\s*(?:#.*)?$"
_DOUBLE = re.compile(rf'"((?:[^"\\]|\\.)*)"{_END}')
_SINGLE = re.compile(rf"'([^']*)'{_END}")
_PLAIN = re.compile(r"((?![\"']).*?)(?:\s+#.*)?\s*$")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def read(path: Path) -> dict[str, str]:
    """Return the variables of a file: `NAME=value`, with or without `export` and quotes.

    Nothing is filled in: `$` stands for itself. Raises RuleError with all lines that are wrong.
    """
    try:
        text = read_file(path, _LARGEST).decode("utf-8-sig")
    except OSError as error:
        message = f"the file of `--env` can't be read ({error.strerror})"
        raise RuleError([Problem(message, "check its name and rights", path)]) from None
    except UnicodeDecodeError:
        message = "the file of `--env` is not UTF-8"
        raise RuleError([Problem(message, "save it as UTF-8", path)]) from None
    variables = {}
    problems = []
    for number, line in enumerate(re.split("\r?\n", text), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name = _NAME.match(line)
        value = _value(line[name.end() :]) if name else None
        if name is None:
            advice = "write `NAME=value`, one in each line"
            problems.append(Problem("this is no variable", advice, path, number, 1))
        elif value is None:
            advice = "close it in the same line, and write nothing behind it but a comment"
            message = f"the quote of `{name[1]}` is not closed, or not at the end of the line"
            problems.append(Problem(message, advice, path, number, name.end() + 1))
        else:
            variables[name[1]] = value
    if problems:
        raise RuleError(problems)
    return variables


def _value(text: str) -> str | None:
    """Return the value of a variable; None for a quote that is not closed."""
    double = _DOUBLE.match(text)
    if double:
        return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), double[1])
    other = _SINGLE.match(text) or _PLAIN.match(text)
    return other[1] if other else None
