"""The contracts for kinds and channels of one's own, from the docstrings of the classes that they
extend.

`python -m sanityd.authoring.reference.contracts` prints the page `docs/reference/contracts.md`. Reads the source as text.
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from types import ModuleType

from sanityd import errors
from sanityd.alerts import base as alerts
from sanityd.checks import base as checks
from sanityd.checks import findings, requirements, scope
from sanityd.model import messages, option_types

#: What people build on, by module, in the order in which it is read.
PUBLIC: dict[ModuleType, tuple[str, ...]] = {
    checks: (
        *(
            "Check",
            "RowCheck",
            "ColumnCheck",
            "QueryCheck",
            "AggregateCheck",
            "PairCheck",
            "CatalogCheck",
        ),
        *("FunctionCheck", "Candidates", "plural"),
    ),
    findings: ("Judgement",),
    requirements: ("Requirement", "TableComparison", "OtherTable", "ComparedColumns"),
    scope: ("Scope",),
    option_types: ("fault", "listed"),
    alerts: ("Channel",),
    messages: ("Message",),
    errors: ("CheckError", "DeliveryError"),
}

_HEAD = """\
# Contracts for your own kinds and channels

<!-- Written by `scripts/docs` from the docstrings. -->

A kind of rule is a class in `checks/<kind>.py` beside the rules file, a channel one in `channels/<kind>.py`, or either
in a package with the entry points `sanityd.checks` and `sanityd.channels`.
[How to write one](../howto/own-kinds.md) begins with an example; this page has all that such a class may use.
"""


def page() -> str:
    """The reference page of the contracts."""
    return "\n".join(
        [_HEAD, *(part for module, names in PUBLIC.items() for part in _module(module, names))]
    )


def _module(module: ModuleType, wanted: tuple[str, ...]) -> Iterator[str]:
    source = inspect.getsource(module)
    known = {
        node.name: node
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
    }
    yield f"## {module.__name__}\n"
    for thing in wanted:
        node = known[thing]
        yield f"### {_title(node)}\n\n{ast.get_docstring(node) or ''}\n"
        if isinstance(node, ast.ClassDef):
            yield from _table("attribute", _attributes(node, source.splitlines()))
            yield from _table("method", _methods(node))


def _title(node: ast.ClassDef | ast.FunctionDef) -> str:
    if isinstance(node, ast.FunctionDef):
        return node.name
    bases = [
        ast.unparse(base) for base in node.bases if ast.unparse(base) not in ("ABC", "BaseModel")
    ]
    return f"{node.name}({', '.join(bases)})" if bases else node.name


def _table(word: str, rows: Iterator[tuple[str, str]]) -> Iterator[str]:
    # A pipe would end the cell, also inside of code.
    if listed := "\n".join(
        f"| `{name.replace(' | ', ' or ')}` | {_cell(meaning)} |" for name, meaning in rows
    ):
        yield f"| {word} | is |\n|---|---|\n{listed}\n"


def _attributes(node: ast.ClassDef, lines: list[str]) -> Iterator[tuple[str, str]]:
    """Fields, and what has a comment (`#:`) above it: the rest is known from the class that is
    extended."""
    for child in node.body:
        if isinstance(child, ast.AnnAssign) and not ast.unparse(child.target).startswith("_"):
            above: list[str] = []
            place = child.lineno - 2
            while lines[place].strip().startswith("#:"):
                above.insert(0, lines[place].strip()[2:].strip())
                place -= 1
            default, told = _value(child.value)
            kind = ast.unparse(child.annotation)
            if above or told or not kind.startswith("ClassVar["):
                kind = re.sub(r"^ClassVar\[(.*)\]$", r"\1", kind)
                yield f"{ast.unparse(child.target)}: {kind}{default}", told or " ".join(above)


def _value(value: ast.expr | None) -> tuple[str, str]:
    """The default as it is written (` = 20`), and what a `Field` says of itself."""
    if value is None:
        return "", ""
    if not (isinstance(value, ast.Call) and ast.unparse(value.func) in ("Field", "field")):
        return f" = {ast.unparse(value)}", ""
    told = [word.value for word in value.keywords if word.arg == "description"]
    default = f" = {ast.unparse(value.args[0])}" if value.args else ""
    return default, str(ast.literal_eval(told[0])) if told else ""


def _methods(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for child in node.body:
        if isinstance(child, ast.FunctionDef) and not child.name.startswith("_"):
            marks = {ast.unparse(mark) for mark in child.decorator_list}
            words = (ast.get_docstring(child) or "").replace("\n\n", " ")
            gives = f" → {ast.unparse(child.returns)}" if child.returns is not None else ""
            named = child.name if "property" in marks else f"{child.name}({_arguments(child.args)})"
            yield (
                f"{named}{gives}",
                f"{'**To be written.** ' if 'abstractmethod' in marks else ''}{words}",
            )


def _arguments(arguments: ast.arguments) -> str:
    """Without `self` and without types, which the source tells."""
    names = [argument.arg for argument in arguments.args if argument.arg not in ("self", "cls")]
    named = [argument.arg for argument in arguments.kwonlyargs]
    return ", ".join([*names, *(["*"] * bool(named)), *named])


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    sys.stdout.write(page())
