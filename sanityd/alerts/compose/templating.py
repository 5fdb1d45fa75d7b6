"""Templates to text and HTML, in a sandbox.

The user's own templates come first. When one of them fails, the built-in template is used, so that
no message is lost. A template is a file `NAME.html` or `NAME.txt`. Its variables are sanitized
texts (`email_view`), and HTML is escaped in addition.
"""

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import css_inline
from jinja2 import TemplateSyntaxError, UndefinedError, meta
from jinja2.exceptions import SecurityError

from sanityd.alerts.compose.sandbox import TemplateLimitError, environment, start_time_limit

_log = logging.getLogger("sanityd.alerts")

#: The limits of one template, in seconds and in characters of its result.
SECONDS, CHARACTERS = 5.0, 500_000
_BUILT_IN = Path(__file__).parent / "templates"

#: Returns the variables of a template, given the note about failed templates.
Variables = Callable[[str], dict[str, object]]


@dataclass(frozen=True, slots=True)
class TemplateFailure:
    """The failure of a user's own template. `line` is 0 when it is not known."""

    path: Path
    line: int
    message: str

    @property
    def note(self) -> str:
        """The line about it in the mail."""
        position = f" at line {self.line}" if self.line else ""
        return (
            f"Your template {self.path.name} failed{position}; "
            "this mail uses the built-in template."
        )


class TemplateError(Exception):
    """A user's own template can't be used."""

    def __init__(self, failure: TemplateFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def render_templates(name: str, variables: Variables, folder: Path | None) -> tuple[str, str]:
    """Return a message as text and as HTML.

    Parameters: `variables` returns what the templates may use; it is called with the note about
    the user's own templates in `folder` that failed, which both parts of the mail show.
    """
    if folder is None or not folder.is_dir():
        return _render_text(name, variables(""), None), _render_html(name, variables(""), None)
    text_failure = _failure(f"{name}.txt", variables(""), folder)
    html_failure = _failure(f"{name}.html", variables(""), folder)
    notes = []
    for failure in (text_failure, html_failure):
        if failure is not None and failure.note not in notes:
            notes.append(failure.note)
    with_note = variables(" ".join(notes))
    text = _render_text(name, with_note, None if text_failure else folder)
    html = _render_html(name, with_note, None if html_failure else folder)
    return text, html


def _failure(file: str, variables: dict[str, object], folder: Path) -> TemplateFailure | None:
    """Render once, and return and log how it fails; None when it does not."""
    try:
        render_file(file, variables, folder)
    except TemplateError as error:
        failure = error.failure
        _log.warning(
            "%s:%d: %s; the built-in template is used", failure.path, failure.line, failure.message
        )
        return failure
    return None


def _render_text(name: str, variables: dict[str, object], folder: Path | None) -> str:
    text = render_file(f"{name}.txt", variables, folder)
    # Sections that are left out leave their blank lines behind.
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _render_html(name: str, variables: dict[str, object], folder: Path | None) -> str:
    return render_file(f"{name}.html", variables, folder)


def render_file(file: str, variables: dict[str, object], folder: Path | None) -> str:
    """Render one template. Raises TemplateError when one of the folder fails."""
    try:
        template_environment = environment(folder)
        start_time_limit(SECONDS)
        template = template_environment.get_template(file)
        text = _joined(template.generate(variables))
        if not text.strip():
            raise TemplateLimitError("it writes nothing")
        if file.endswith(".html"):
            return _inliner().inline(text)
        return text
    # A template may fail in any way that Python code can, and the mail must be sent all the same.
    except Exception as error:
        if folder is None:
            raise
        raise TemplateError(_located(error, folder, file)) from error


def compile_template(file: str, folder: Path) -> None:
    """Read one template of the folder without rendering it. Raises TemplateError."""
    try:
        if file.endswith(".css"):
            (folder / file).read_text(encoding="utf-8")
        else:
            environment(folder).get_template(file)
    # As above.
    except Exception as error:
        raise TemplateError(_located(error, folder, file)) from error


def built_in_files() -> list[str]:
    """Return the names of the files that users may replace."""
    return sorted(path.name for path in _BUILT_IN.iterdir())


def _joined(pieces: Iterable[str]) -> str:
    texts: list[str] = []
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > CHARACTERS:
            raise TemplateLimitError(f"it writes more than {CHARACTERS:,} characters")
        texts.append(piece)
    return "".join(texts)


def _located(error: Exception, folder: Path, file: str) -> TemplateFailure:
    """Return where in the folder it failed. The error's text is kept only if it quotes no value."""
    path, line = responsible_file(file, folder), 0
    if isinstance(error, TemplateSyntaxError):
        if error.filename:
            path = Path(error.filename)
        return TemplateFailure(path, error.lineno, error.message or "wrong syntax")
    trace = error.__traceback__
    while trace is not None:
        code_path = Path(trace.tb_frame.f_code.co_filename)
        if code_path.parent == folder:
            path, line = code_path, trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, UndefinedError | SecurityError | TemplateLimitError):
        return TemplateFailure(path, line, str(error))
    return TemplateFailure(path, line, f"it can't be rendered ({type(error).__name__})")


def responsible_file(file: str, folder: Path) -> Path:
    """Return the user's own file that a template is, or that it extends, includes or imports.

    Returns a path that does not exist when all of these files are built-in ones.
    """
    visited: set[str] = set()
    queue = [file]
    while queue:
        name = queue.pop(0)
        if (folder / name).is_file():
            return folder / name
        visited.add(name)
        source = (_BUILT_IN / name).read_text(encoding="utf-8")
        references = meta.find_referenced_templates(environment(folder).parse(source))
        queue += [reference for reference in references if reference and reference not in visited]
    return folder / file


@cache
def _inliner() -> css_inline.CSSInliner:
    # Media queries can't be inlined. They stay in the head, for dark mode and narrow screens.
    return css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)
