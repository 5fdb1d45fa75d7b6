"""The contracts for own kinds and channels, from the docstrings of the classes that they extend.

`python -m sanityd.authoring.reference.contracts` prints the page `docs/reference/contracts.md`.
Reads the source as text.
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
from sanityd.checks import candidates, findings, requirements, scope, table_nouns
from sanityd.model import messages, option_types

#: The public classes and functions by module, in the order of the page.
PUBLIC: dict[ModuleType, tuple[str, ...]] = {
    checks: (
        "Check",
        "RowCheck",
        "ColumnCheck",
        "QueryCheck",
        "AggregateCheck",
        "PairCheck",
        "CatalogCheck",
        "FunctionCheck",
    ),
    candidates: ("Candidates",),
    table_nouns: ("plural",),
    findings: ("Judgement",),
    requirements: ("Requirement", "TableComparison", "OtherTable", "ComparedColumns"),
    scope: ("Scope",),
    option_types: ("option_error", "as_list"),
    alerts: ("Channel",),
    messages: ("Message",),
    errors: ("CheckError", "DeliveryError"),
}

_HEAD = """\
# Contracts for your own kinds and channels

<!-- Written by `scripts/docs` from the docstrings. -->

A kind of rule is a class in `checks/<kind>.py` beside the rules file, a channel one in \
`channels/<kind>.py`, or either
in a package with the entry points `sanityd.checks` and `sanityd.channels`.
[How to write one](../howto/own-kinds.md) begins with an example; this page has all that such a \
class may use.
"""


def page() -> str:
    """Return the reference page of the contracts."""
    parts = [_HEAD]
    for module, names in PUBLIC.items():
        parts += _module(module, names)
    return "\n".join(parts)


def _module(module: ModuleType, names: tuple[str, ...]) -> Iterator[str]:
    source = inspect.getsource(module)
    nodes: dict[str, ast.ClassDef | ast.FunctionDef] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            nodes[node.name] = node
    yield f"## {module.__name__}\n"
    for name in names:
        definition = nodes[name]
        docstring = ast.get_docstring(definition) or ""
        yield f"### {_title(definition)}\n\n{docstring}\n"
        if isinstance(definition, ast.ClassDef):
            yield from _table("attribute", _attributes(definition, source.splitlines()))
            yield from _table("method", _methods(definition))


def _title(node: ast.ClassDef | ast.FunctionDef) -> str:
    if isinstance(node, ast.FunctionDef):
        return node.name
    all_bases = [ast.unparse(base) for base in node.bases]
    bases = [base for base in all_bases if base not in ("ABC", "BaseModel")]
    return f"{node.name}({', '.join(bases)})" if bases else node.name


def _table(word: str, rows: Iterator[tuple[str, str]]) -> Iterator[str]:
    lines = []
    for name, meaning in rows:
        # A pipe would end the cell, also inside of code.
        code = name.replace(" | ", " or ")
        lines.append(f"| `{code}` | {_cell(meaning)} |")
    if lines:
        listed = "\n".join(lines)
        yield f"| {word} | is |\n|---|---|\n{listed}\n"


def _attributes(node: ast.ClassDef, lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield fields, and class variables with a comment (`#:`) or description.

    The others are explained at the class that is extended.
    """
    for child in node.body:
        if not isinstance(child, ast.AnnAssign):
            continue
        name = ast.unparse(child.target)
        if name.startswith("_"):
            continue
        comment = _comment_above(child.lineno, lines)
        default, description = _value(child.value)
        annotation = ast.unparse(child.annotation)
        if comment or description or not annotation.startswith("ClassVar["):
            type_name = re.sub(r"^ClassVar\[(.*)\]$", r"\1", annotation)
            yield f"{name}: {type_name}{default}", description or comment


def _comment_above(line: int, lines: list[str]) -> str:
    """Return the comment (`#:`) above a line, counted from 1."""
    parts: list[str] = []
    index = line - 2
    while lines[index].strip().startswith("#:"):
        parts.insert(0, lines[index].strip()[2:].strip())
        index -= 1
    return " ".join(parts)


def _value(value: ast.expr | None) -> tuple[str, str]:
    """Return the default as it is written (` = 20`), and the description of a `Field`."""
    if value is None:
        return "", ""
    if not (isinstance(value, ast.Call) and ast.unparse(value.func) in ("Field", "field")):
        return f" = {ast.unparse(value)}", ""
    description = ""
    for keyword in value.keywords:
        if keyword.arg == "description":
            description = str(ast.literal_eval(keyword.value))
    default = f" = {ast.unparse(value.args[0])}" if value.args else ""
    return default, description


def _methods(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for child in node.body:
        if not isinstance(child, ast.FunctionDef) or child.name.startswith("_"):
            continue
        decorators = {ast.unparse(decorator) for decorator in child.decorator_list}
        signature = child.name
        if "property" not in decorators:
            signature += f"({_arguments(child.args)})"
        if child.returns is not None:
            signature += f" → {ast.unparse(child.returns)}"
        meaning = (ast.get_docstring(child) or "").replace("\n\n", " ")
        if "abstractmethod" in decorators:
            meaning = f"**To be written.** {meaning}"
        yield signature, meaning


def _arguments(arguments: ast.arguments) -> str:
    """Return the arguments without `self` and without types."""
    names = [argument.arg for argument in arguments.args if argument.arg not in ("self", "cls")]
    keywords = [argument.arg for argument in arguments.kwonlyargs]
    if keywords:
        names += ["*", *keywords]
    return ", ".join(names)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    sys.stdout.write(page())
