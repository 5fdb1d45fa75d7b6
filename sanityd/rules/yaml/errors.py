"""Errors of the YAML parser, explained where the mistake is rather than where the parser noticed.

Knows nothing of rules. Works on the lines of the file and on the parser's message.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import yaml

#: A line and a column, both 0-based.
Position = tuple[int, int]

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
    """The file and the state of the parser at its error. Lines and columns are 0-based."""

    lines: Sequence[str]
    #: Where the parser noticed the error.
    line: int
    column: int
    #: Where the node begins that the parser was reading.
    began: Position | None
    #: The first and last line of the last scalar, if it is quoted and was the last event.
    quoted: tuple[int, int] | None
    #: Where the innermost open list or mapping begins.
    opened: Position | None

    @property
    def text(self) -> str:
        """The line of the error."""
        if self.line >= len(self.lines):
            return ""
        return self.lines[self.line]

    @property
    def char(self) -> str:
        """The character of the error; empty at the end of a line."""
        return self.char_at((self.line, self.column))

    def char_at(self, position: Position) -> str:
        """Return the character at a position; empty where there is none."""
        line, column = position
        if line >= len(self.lines):
            return ""
        return self.lines[line][column : column + 1]

    def error(self, message: str, advice: str, length: int = 1) -> YamlError:
        """Return an error where the parser noticed it."""
        return self.error_at((self.line, self.column), message, advice, length)

    def error_at(self, position: Position, message: str, advice: str, length: int = 1) -> YamlError:
        """Return an error at another position."""
        line, column = position
        return YamlError(message, advice, line + 1, column + 1, length)

    def line_above(self) -> int | None:
        """Return the number of the last line above that is not blank."""
        for number in range(min(self.line, len(self.lines)) - 1, -1, -1):
            if self.lines[number].strip():
                return number
        return None


def yaml_error(
    error: yaml.MarkedYAMLError,
    lines: Sequence[str],
    last: yaml.Event | None,
    opened: Position | None,
) -> YamlError:
    """Return the parser's error in plain words.

    Parameters: `last` is the last event before the error; `opened` is where the innermost open list
    or mapping begins (0-based).
    """
    state = _state(error, lines, last, opened)
    problem = f"{error.problem or error.context}"
    for words, explain in _EXPLANATIONS.items():
        if words not in problem:
            continue
        explained = explain(state)
        if explained is not None:
            return explained
    return state.error(f"this is not YAML: {problem}", "check indentation, brackets and quotes")


def _state(
    error: yaml.MarkedYAMLError,
    lines: Sequence[str],
    last: yaml.Event | None,
    opened: Position | None,
) -> ParserState:
    context = error.context_mark
    began = None
    if context is not None:
        began = (context.line, context.column)
    line, column = 0, 0
    mark = error.problem_mark or context
    if mark is not None:
        line, column = mark.line, mark.column
    if line >= len(lines):
        # An error at the end of the file is behind its last line, where nothing can be shown.
        line, column = max(0, len(lines) - 1), 0
    return ParserState(lines, line, column, began, _quoted_lines(last), opened)


def _quoted_lines(event: yaml.Event | None) -> tuple[int, int] | None:
    """Return the first and last line of a quoted scalar; None for any other event."""
    if not isinstance(event, yaml.ScalarEvent) or event.style not in ("'", '"'):
        return None
    if not event.start_mark or not event.end_mark:
        return None
    return event.start_mark.line, event.end_mark.line


def _indent(line: str) -> int:
    """Return how many blanks a line begins with."""
    return len(line) - len(line.lstrip(" "))


def _no_token(state: ParserState) -> YamlError:
    if state.char == "\t":
        return state.error("a tab stands where blanks indent", "indent with blanks")
    return state.error(f"a value can't begin with `{state.char}`", "put the value in quotes")


def _no_name(state: ParserState) -> YamlError:
    position = state.began or (state.line, state.column)
    message = f"a value can't begin with `{state.char_at(position)}`"
    return state.error_at(position, message, "put the value in quotes")


def _mapping(state: ParserState) -> YamlError | None:
    before = state.text[: state.column]
    if _KEY.match(before):
        advice = "put the value in quotes, or begin a new line"
        return state.error("a second `: ` stands in one line", advice)
    above = state.line_above()
    if above is None:
        return None
    line_above = state.lines[above]
    key_above = _KEY.match(line_above)
    if key_above is None:
        return _no_colon(state, above)
    key = before.strip()
    column, column_above = _indent(before), _indent(line_above)
    message = f"`{key}` stands below `{key_above[1]}`, which has a value already"
    advice = "check the indentation"
    if column > column_above:
        advice = f"let both begin in the same column ({column_above + 1})"
    return state.error_at((state.line, column), message, advice, max(1, len(key)))


def _no_colon(state: ParserState, number: int) -> YamlError:
    line = state.lines[number]
    text = line.strip()
    position = (number, _indent(line))
    advice = f"write `{_with_colon(text)}`"
    return state.error_at(position, "there is no `: ` after the key", advice, max(1, len(text)))


def _with_colon(text: str) -> str:
    """Return a line with its colon.

    Corrects `table app.people`, `table:app.people` and `table : app.people`; a colon is added to a
    single key.
    """
    key_and_value = re.fullmatch(r"([\w-]+)(?: *: *| +)(.+)", text)
    if key_and_value is None:
        return f"{text}:"
    return f"{key_and_value[1]}: {key_and_value[2]}"


def _simple_key(state: ParserState) -> YamlError | None:
    if not state.began or state.began[0] >= len(state.lines):
        return None
    return _no_colon(state, state.began[0])


def _open_quote(state: ParserState) -> YamlError | None:
    if state.began is None:
        return None
    quote = state.char_at(state.began)
    message = f"this quote ({quote}) is not closed"
    return state.error_at(state.began, message, f"write another {quote} where the text ends")


def _open_bracket(state: ParserState) -> YamlError | None:
    if state.began is None:
        return None
    bracket = state.char_at(state.began)
    closing = _CLOSING.get(bracket, "]")
    if state.began[0] == state.line and state.char:
        message = f"a `,` or `{closing}` is missing before this"
        return state.error(message, "write it, or put the value in quotes")
    message = f"this `{bracket}` is not closed"
    return state.error_at(state.began, message, f"write `{closing}` where it ends")


def _no_content(state: ParserState) -> YamlError | None:
    if state.char == ",":
        return state.error("nothing stands before this `,`", "take it out")
    if state.opened is None:
        return None
    bracket = state.char_at(state.opened)
    if bracket not in _CLOSING:
        return None
    message = f"this `{bracket}` is not closed"
    return state.error_at(state.opened, message, f"write `{_CLOSING[bracket]}` where it ends")


def _escape(state: ParserState) -> YamlError:
    # The parser points at the backslash, or at the letter after it.
    start = state.text.rfind("\\", 0, state.column + 1)
    escape = state.text[start : start + 2]
    message = f"`{escape}` means nothing in double quotes"
    advice = "write the text in single quotes, where a backslash is a backslash"
    return state.error_at((state.line, max(0, start)), message, advice, 2)


def _no_key(state: ParserState) -> YamlError | None:
    if state.column > _indent(state.text):
        return _behind_a_value(state)
    return _wrong_indent(state)


def _behind_a_value(state: ParserState) -> YamlError:
    """Return the error of text that stands in the line of a value that has ended."""
    if state.quoted and state.quoted[0] < state.quoted[1]:
        begins = state.quoted[0] + 1
        message = f"the text in quotes that begins in line {begins} ends just before this"
        return state.error(message, "close its quotes where it ends, or write inner ones twice")
    if state.quoted:
        message = "something stands behind the text in quotes"
        return state.error(message, "quote all of the value, inner quotes twice")
    if state.char in ("]", "}"):
        message = f"`{state.char}` has nothing to close here"
        return state.error(message, "take it out, or put the value in quotes")
    message = "something stands behind the end of the value"
    return state.error(message, "put all of the value in quotes")


def _wrong_indent(state: ParserState) -> YamlError | None:
    """Return the error of a line that begins in no column of the lines above it."""
    if state.began is None:
        return None
    _, column = state.began
    if _indent(state.text) == column:
        return None
    column_above = column
    above = state.line_above()
    if above is not None:
        column_above = _indent(state.lines[above])
    return state.error(
        "this line is indented neither as those above it nor as those they belong to",
        f"begin it in column {column_above + 1}, as the line above, or in column {column + 1}",
        len(state.text.strip()),
    )


def _no_dash(state: ParserState) -> YamlError | None:
    if state.began is None:
        return None
    message = f"the list that begins in line {state.began[0] + 1} has no `- ` here"
    return state.error(message, "indent it less, or add it")


def _list_in_line(state: ParserState) -> YamlError:
    message = "a list can't begin behind a key with `- `"
    return state.error(message, "write `[a, b]`, or begin on the next line")


def _block_scalar(state: ParserState) -> YamlError:
    position = state.began or (state.line, state.column)
    message = f"text stands in the line of the `{state.char_at(position)}`"
    return state.error_at(position, message, "begin it on the next line, indented")


#: By words of the parser's message, the specific ones first.
_EXPLANATIONS: dict[str, Callable[[ParserState], YamlError | None]] = {
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
