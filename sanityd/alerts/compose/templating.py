"""Templates → text and HTML, in a sandbox; a team's own ones come first, and one that fails never loses a message.

Each template is a file `NAME.html` or `NAME.txt`. It is given harmless words (`letter.py`), and HTML is escaped on top.
"""

import logging
import re
from collections.abc import Callable, Sized
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import css_inline
from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    FileSystemLoader,
    PackageLoader,
    PrefixLoader,
    StrictUndefined,
    TemplateSyntaxError,
    UndefinedError,
    meta,
    nodes,
    select_autoescape,
)
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from sanityd import clock
from sanityd.alerts.compose import filters

_log = logging.getLogger("sanityd.alerts")

#: How long one template may take, and how much it may write.
SECONDS, CHARACTERS = 5.0, 500_000
#: Numbers stay below that, so that each step is short.
_MOST = 10**18
#: Methods and filters that make a text, or a list, as wide as they are told.
_PADDING = ("center", "expandtabs", "ljust", "rjust", "zfill")
_WIDE = ("batch", "center", "format", "indent", "slice")
_LEFT: ContextVar[float] = ContextVar("left")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a team's own template, and where; line 0 where that is not known."""

    path: Path
    line: int
    message: str

    @property
    def note(self) -> str:
        """The line in a mail that says so."""
        place = f" at line {self.line}" if self.line else ""
        return f"The team's own template {self.path.name} failed{place}; this is the built-in one."


class TemplateFault(Exception):
    """A team's own template can't be used."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class TooMuch(Exception):
    """A template that takes or writes too much."""


def typeset(
    name: str, words: Callable[[str], dict[str, object]], folder: Path | None
) -> tuple[str, str]:
    """A message as text and as HTML.

    Parameters: `words` gives what the templates may use; it is handed the note of what went wrong with the team's own
    templates in `folder`, for both parts to say.
    """
    if folder is None or not folder.is_dir():
        return _text(name, words(""), None), _html(name, words(""), None)
    faults: dict[str, Fault] = {}
    for form in (_text, _html):
        try:
            form(name, words(""), folder)
        except TemplateFault as error:
            faults[form.__name__] = error.fault
            _log.warning(
                "%s:%d: %s; the built-in template is used",
                error.fault.path,
                error.fault.line,
                error.fault.message,
            )
    note = " ".join(dict.fromkeys(fault.note for fault in faults.values()))
    text, html = (
        form(name, words(note), None if form.__name__ in faults else folder)
        for form in (_text, _html)
    )
    return text, html


def _text(name: str, words: dict[str, object], folder: Path | None) -> str:
    text = press(f"{name}.txt", words, folder)
    # Sections that are left out leave their distance behind.
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _html(name: str, words: dict[str, object], folder: Path | None) -> str:
    return press(f"{name}.html", words, folder)


def press(file: str, words: dict[str, object], folder: Path | None) -> str:
    """One template with its words. Raises TemplateFault when one of the folder fails."""
    try:
        environment = _environment(folder)
        _LEFT.set(clock.stopwatch() + SECONDS)
        text = _collected(environment.get_template(file).generate(words))
        if not text.strip():
            raise TooMuch("it writes nothing")
        return _inliner().inline(text) if file.endswith(".html") else text
    # A template may fail in any way that Python can, and whatever it is, people must hear of the incident.
    except Exception as error:
        if folder is None:
            raise
        raise TemplateFault(_fault(error, folder, file)) from error


def read(file: str, folder: Path) -> None:
    """Read one template of the folder without writing anything. Raises TemplateFault when that can't be done."""
    try:
        if file.endswith(".css"):
            (folder / file).read_text(encoding="utf-8")
        else:
            _environment(folder).get_template(file)
    # As above: whatever it is, it is the template's fault.
    except Exception as error:
        raise TemplateFault(_fault(error, folder, file)) from error


def built_in() -> list[str]:
    """The names of the files that a team may replace."""
    return sorted(path.name for path in (Path(__file__).parent / "templates").iterdir())


def _collected(pieces: Any) -> str:
    written: list[str] = []
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > CHARACTERS:
            raise TooMuch(f"it writes more than {CHARACTERS:,} characters")
        written.append(piece)
    return "".join(written)


def _fault(error: Exception, folder: Path, file: str) -> Fault:
    """Where in the folder it failed. What an error says is only passed on where it can quote no value."""
    path, line = theirs(file, folder), 0
    if isinstance(error, TemplateSyntaxError):
        return Fault(
            Path(error.filename) if error.filename else path,
            error.lineno,
            error.message or "wrong syntax",
        )
    trace = error.__traceback__
    while trace is not None:
        where = Path(trace.tb_frame.f_code.co_filename)
        if where.parent == folder:
            path, line = where, trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, UndefinedError | SecurityError | TooMuch):
        return Fault(path, line, str(error))
    return Fault(path, line, f"it can't be written ({type(error).__name__})")


def theirs(file: str, folder: Path) -> Path:
    """The team's template that a mail's template is, or is built upon; a file that isn't there if it is all ours."""
    seen, waiting = set(), [file]
    while waiting:
        name = waiting.pop(0)
        if (folder / name).is_file():
            return folder / name
        seen.add(name)
        source = (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")
        found = meta.find_referenced_templates(_environment(folder).parse(source))
        waiting += [one for one in found if one is not None and one not in seen]
    return folder / file


class _Environment(ImmutableSandboxedEnvironment):
    """A sandbox in which each turn of a loop looks at the clock, so that no template runs for ever.

    What takes long in a single step, where no clock is looked at, is refused beforehand.
    """

    intercepted_binops = frozenset(("*", "**", "%"))

    def _generate(
        self,
        source: nodes.Template,
        name: str | None,
        filename: str | None,
        defer_init: bool = False,
    ) -> str:
        for loop in list(source.find_all(nodes.For)):
            tick = nodes.ExprStmt(
                nodes.Call(nodes.EnvironmentAttribute("tick"), [], [], None, None)
            )
            loop.body.insert(0, tick.set_lineno(loop.lineno))
        return super()._generate(source, name, filename, defer_init)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Powers, repetitions and forms that are filled in, as far as they stay small."""
        if operator == "**":
            raise TooMuch("it calculates a power")
        if operator == "%" and isinstance(left, str):
            raise TooMuch("it fills in a form by `%`, which may be of any width: use `~`")
        if operator == "*":
            times, many = (left, right) if isinstance(left, int) else (right, left)
            if (
                len(many) * times > CHARACTERS
                if isinstance(many, Sized)
                else abs(times * many) > _MOST
            ):
                raise TooMuch("it makes something too large by `*`")
        return super().call_binop(context, operator, left, right)

    def call(self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """A call, but of what pads a text to any width."""
        if isinstance(getattr(__obj, "__self__", None), str) and __obj.__name__ in _PADDING:
            raise TooMuch(f"it pads a text by `{__obj.__name__}`, which may be of any width")
        return super().call(__context, __obj, *args, **kwargs)

    def tick(self) -> None:
        """Called in each turn of each loop."""
        if clock.stopwatch() > _LEFT.get():
            raise TooMuch(f"it takes longer than {SECONDS:.0f} seconds")


@cache
def _environment(folder: Path | None) -> _Environment:
    ours: BaseLoader = PackageLoader("sanityd.alerts.compose")
    environment = _Environment(
        loader=ours
        if folder is None
        else ChoiceLoader([FileSystemLoader(folder), PrefixLoader({"built-in": ours}), ours]),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in _WIDE:
        del environment.filters[name]
    # A million paragraphs are as easily asked for as one.
    del environment.globals["lipsum"]
    environment.filters |= {
        "linked": filters.linked,
        "coded": filters.coded,
        "beside": filters.beside,
        "filled": filters.filled,
        "aligned": filters.aligned,
    }
    return environment


@cache
def _inliner() -> css_inline.CSSInliner:
    # Media queries can't be inlined; they stay in the head, for dark mode and narrow screens.
    return css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)
