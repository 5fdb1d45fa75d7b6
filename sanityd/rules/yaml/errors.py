"""What the YAML parser complains of, in words for people, at the place of the mistake rather than
where it showed.

Knows nothing of rules. Works on the lines of the file and on what the parser says.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import yaml

_CLOSING = {"[": "]", "{": "}"}
_KEY = re.compile(r"\s*(?:- +)*(\"[^\"]*\"|'[^']*'|[^\s#][^#]*?):(?= |$)")


@dataclass(frozen=True, slots=True)
class YamlError:
    """What is wrong, what to do, and where (1-based)."""

    message: str
    advice: str
    line: int
    column: int
    length: int = 1


@dataclass(frozen=True, slots=True)
class ParserState:
    """The line and column (0-based) of the complaint and of what was begun there, and the last text
    that was read."""

    lines: Sequence[str]
    line: int
    column: int
    began: tuple[int, int] | None
    #: The first and last line of the last text in quotes, if that was what was read last.
    quoted: tuple[int, int] | None
    #: Where the list or mapping begins that is being read.
    opened: tuple[int, int] | None

    @property
    def text(self) -> str:
        """The line that is complained of."""
        return self.lines[self.line] if self.line < len(self.lines) else ""

    @property
    def char(self) -> str:
        """The character that is complained of."""
        return self.text[self.column : self.column + 1]

    def here(self, message: str, advice: str, length: int = 1) -> YamlError:
        """At the place of the complaint."""
        return YamlError(message, advice, self.line + 1, self.column + 1, length)

    def at(self, place: tuple[int, int], message: str, advice: str, length: int = 1) -> YamlError:
        """At another place (0-based)."""
        return YamlError(message, advice, place[0] + 1, place[1] + 1, length)

    def written_above(self) -> int | None:
        """The last line above that has something in it."""
        return next(
            (
                n
                for n in range(min(self.line, len(self.lines)) - 1, -1, -1)
                if self.lines[n].strip()
            ),
            None,
        )


def yaml_error(
    error: yaml.MarkedYAMLError,
    lines: Sequence[str],
    last: yaml.Event | None,
    opened: tuple[int, int] | None,
) -> YamlError:
    """The parser's error, as told to people.

    Parameters: `last` is the last event before it; `opened` is where the list or mapping begins
    (0-based) that is being read.
    """
    mark = error.problem_mark or error.context_mark
    began = error.context_mark
    quoted = None
    if (
        isinstance(last, yaml.ScalarEvent)
        and last.style in ("'", '"')
        and last.start_mark
        and last.end_mark
    ):
        quoted = (last.start_mark.line, last.end_mark.line)
    line, column = (mark.line, mark.column) if mark else (0, 0)
    found = ParserState(
        lines, line, column, (began.line, began.column) if began else None, quoted, opened
    )
    problem = f"{error.problem or error.context}"
    if line >= len(lines):
        # Complaints of the end of the file stand behind its last line, where nothing can be shown.
        end = max(0, len(lines) - 1)
        found = replace(found, line=end, column=0)
    for words, tell in _KNOWN.items():
        if words in problem and (told := tell(found)) is not None:
            return told
    return found.here(f"this is not YAML: {problem}", "check indentation, brackets and quotes")


def _no_token(found: ParserState) -> YamlError:
    if found.char == "\t":
        return found.here("a tab stands where blanks indent", "indent with blanks")
    return found.here(f"a value can't begin with `{found.char}`", "put the value in quotes")


def _no_name(found: ParserState) -> YamlError:
    place = found.began or (found.line, found.column)
    char = found.lines[place[0]][place[1] : place[1] + 1]
    return found.at(place, f"a value can't begin with `{char}`", "put the value in quotes")


def _mapping(found: ParserState) -> YamlError | None:
    before = found.text[: found.column]
    if _KEY.match(before):
        return found.here(
            "a second `: ` stands in one line", "put the value in quotes, or begin a new line"
        )
    if (above := found.written_above()) is None:
        return None
    key = before.strip()
    line = found.lines[above]
    indent = len(line) - len(line.lstrip(" "))
    if (known := _KEY.match(line)) is None:
        return _no_colon(found, above)
    begins = len(before) - len(before.lstrip(" "))
    message = f"`{key}` stands below `{known[1]}`, which has a value already"
    advice = (
        f"let both begin in the same column ({indent + 1})"
        if begins > indent
        else "check the indentation"
    )
    return found.at((found.line, begins), message, advice, max(1, len(key)))


def _no_colon(found: ParserState, line: int) -> YamlError:
    text = found.lines[line]
    indent = len(text) - len(text.lstrip(" "))
    advice = f"write `{_with_colon(text.strip())}`"
    return found.at(
        (line, indent), "there is no `: ` after the key", advice, max(1, len(text.strip()))
    )


def _with_colon(text: str) -> str:
    """`table app.people`, `table:app.people` and `table : app.people` as they are meant; a key
    alone gets its colon."""
    if found := re.fullmatch(r"([\w-]+)(?: *: *| +)(.+)", text):
        return f"{found[1]}: {found[2]}"
    return f"{text}:"


def _simple_key(found: ParserState) -> YamlError | None:
    return (
        _no_colon(found, found.began[0])
        if found.began and found.began[0] < len(found.lines)
        else None
    )


def _open_quote(found: ParserState) -> YamlError | None:
    if found.began is None:
        return None
    quote = found.lines[found.began[0]][found.began[1] : found.began[1] + 1]
    return found.at(
        found.began,
        f"this quote ({quote}) is not closed",
        f"write another {quote} where the text ends",
    )


def _open_bracket(found: ParserState) -> YamlError | None:
    if found.began is None:
        return None
    line, column = found.began
    bracket = found.lines[line][column : column + 1]
    closing = _CLOSING.get(bracket, "]")
    if line == found.line and found.char:
        message = f"a `,` or `{closing}` is missing before this"
        return found.here(message, "write it, or put the value in quotes")
    return found.at(
        (line, column), f"this `{bracket}` is not closed", f"write `{closing}` where it ends"
    )


def _no_content(found: ParserState) -> YamlError | None:
    if found.char == ",":
        return found.here("nothing stands before this `,`", "take it out")
    if found.opened is None or found.opened[0] >= len(found.lines):
        return None
    bracket = found.lines[found.opened[0]][found.opened[1] : found.opened[1] + 1]
    if bracket not in _CLOSING:
        return None
    return found.at(
        found.opened,
        f"this `{bracket}` is not closed",
        f"write `{_CLOSING[bracket]}` where it ends",
    )


def _escape(found: ParserState) -> YamlError:
    # The place is that of the letter after the backslash, or of the backslash.
    start = found.text.rfind("\\", 0, found.column + 1)
    escape = found.text[start : start + 2]
    advice = "write the text in single quotes, where a backslash is a backslash"
    return found.at(
        (found.line, max(0, start)), f"`{escape}` means nothing in double quotes", advice, 2
    )


def _no_key(found: ParserState) -> YamlError | None:
    indent = len(found.text) - len(found.text.lstrip(" "))
    if found.column > indent:
        if found.quoted and found.quoted[0] < found.quoted[1]:
            message = f"the text in quotes that begins in line {found.quoted[0] + 1} ends just before this"
            return found.here(message, "close its quotes where it ends, or write inner ones twice")
        if found.quoted:
            return found.here(
                "something stands behind the text in quotes",
                "quote all of the value, inner quotes twice",
            )
        if found.char in ("]", "}"):
            return found.here(
                f"`{found.char}` has nothing to close here",
                "take it out, or put the value in quotes",
            )
        return found.here(
            "something stands behind the end of the value", "put all of the value in quotes"
        )
    if found.began is None:
        return None
    _, column = found.began
    length = len(found.text.strip())
    if indent == column:
        return None
    message = "this line is indented neither as those above it nor as those they belong to"
    above = found.written_above()
    near = (
        (len(found.lines[above]) - len(found.lines[above].lstrip(" ")))
        if above is not None
        else column
    )
    return found.here(
        message,
        f"begin it in column {near + 1}, as the line above, or in column {column + 1}",
        length,
    )


def _no_dash(found: ParserState) -> YamlError | None:
    if found.began is None:
        return None
    return found.here(
        f"the list that begins in line {found.began[0] + 1} has no `- ` here",
        "indent it less, or add it",
    )


def _list_in_line(found: ParserState) -> YamlError:
    return found.here(
        "a list can't begin behind a key with `- `", "write `[a, b]`, or begin on the next line", 1
    )


def _block_scalar(found: ParserState) -> YamlError:
    place = found.began or (found.line, found.column)
    sign = found.lines[place[0]][place[1] : place[1] + 1]
    return found.at(
        place, f"text stands in the line of the `{sign}`", "begin it on the next line, indented"
    )


#: By words of the parser's message, the telling ones first.
_KNOWN: dict[str, Callable[[ParserState], YamlError | None]] = {
    "cannot start any token": _no_token,
    "found a tab character": _no_token,
    "alphabetic or numeric character": _no_name,
    "mapping values are not allowed": _mapping,
    "could not find expected ':'": _simple_key,
    "unexpected end of stream": _open_quote,
    "unexpected document indicator": _open_quote,
    "expected ',' or": _open_bracket,
    "expected node content": _no_content,
    "unknown escape": _escape,
    "expected key": _no_key,
    "expected '-' indicator": _no_dash,
    "block sequence entries": _list_in_line,
    "comment or line break": _block_scalar,
}
