"""Measures how easily strangers can read the package: its size, density and names.

`python -m tests.support.house [CHECKOUT]` prints a table of the measures and their goals, then the
functions, names and lines that break a goal. `tests/test_architecture.py` keeps the goals.
"""

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from radon.visitors import ComplexityVisitor

from tests import ROOT

#: Words that say nothing of what a variable holds.
EMPTY_NAMES = {"one", "found", "ours", "told", "said", "place", "known", "theirs", "held"}
#: What stands in the package's folder and is no entry that a reader has to choose from.
NOT_COUNTED = {"__init__.py", "__main__.py", "__pycache__", "py.typed"}

WIDTH = 100
COMPLEX = 10


@dataclass(frozen=True)
class Goal:
    """One measure: its name, its value, and the largest value that is allowed."""

    name: str
    value: float
    most: float

    @property
    def is_met(self) -> bool:
        """Whether the value is not too large."""
        return self.value <= self.most

    def __str__(self) -> str:
        mark = "✓" if self.is_met else "✗"
        return f"{mark} {self.name:<44}{self.value:>8.1f}   at most {self.most:g}"


@dataclass(frozen=True)
class Function:
    """One function or method, with its cyclomatic complexity (by radon) and its length in lines."""

    file: str
    name: str
    line: int
    complexity: int
    lines: int

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line} {self.name}: complexity {self.complexity}, {self.lines} lines"
        )


class House:
    """The measures of the package `sanityd` in a checkout. Migrations of the store are left out."""

    def __init__(self, checkout: Path) -> None:
        self.package = checkout / "sanityd"
        files = (
            path for path in sorted(self.package.rglob("*.py")) if "migrations" not in path.parts
        )
        self.texts = {
            str(path.relative_to(self.package)): path.read_text("utf-8") for path in files
        }
        self.trees = {file: ast.parse(text) for file, text in self.texts.items()}

    def goals(self) -> list[Goal]:
        """All measures with their goals."""
        functions = self.functions
        lines = sum(len(text.splitlines()) for text in self.texts.values())
        heavy = sum(function.complexity > COMPLEX for function in functions)
        long = sum(function.lines > 50 for function in functions)
        complexity = sum(function.complexity for function in functions)
        comprehensions = self._count(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
        return [
            Goal("entries of the root", len(self.entries()), 20),
            Goal(f"lines over {WIDTH} columns", len(list(self.wide_lines())), 0),
            Goal(
                f"functions with a complexity over {COMPLEX}, %", 100 * heavy / len(functions), 1.5
            ),
            Goal(
                "highest complexity of a function", max(each.complexity for each in functions), 20
            ),
            Goal("complexity per 100 source lines", 100 * complexity / self._source_lines(), 26),
            Goal("comprehensions per 1,000 lines", 1000 * comprehensions / lines, 22),
            Goal(
                "conditional expressions per 1,000 lines", 1000 * self._count(ast.IfExp) / lines, 15
            ),
            Goal("variables with an empty name", len(list(self.empty_names())), 0),
            Goal("isinstance on check classes", len(list(self.check_types())), 5),
            Goal("class names that occur twice", len(self.repeated_classes()), 0),
            Goal("functions over 50 lines, %", 100 * long / len(functions), 3),
            Goal("lines of the longest function", max(each.lines for each in functions), 80),
        ]

    def entries(self) -> list[str]:
        """The files and folders in the root of the package."""
        return sorted(path.name for path in self.package.iterdir() if path.name not in NOT_COUNTED)

    def wide_lines(self) -> Iterator[str]:
        """Lines that are too long, as `file:line`."""
        for file, text in self.texts.items():
            for number, line in enumerate(text.splitlines(), 1):
                if len(line) > WIDTH:
                    yield f"{file}:{number}"

    @cached_property
    def functions(self) -> list[Function]:
        """All functions and methods, the most complex first."""
        functions = []
        for file, text in self.texts.items():
            visitor = ComplexityVisitor.from_code(text)
            methods = [method for group in visitor.classes for method in group.methods]
            for each in [*visitor.functions, *methods]:
                lines = each.endline - each.lineno + 1
                functions.append(Function(file, each.name, each.lineno, each.complexity, lines))
        return sorted(functions, key=lambda function: -function.complexity)

    def empty_names(self) -> Iterator[str]:
        """Variables and parameters with an empty name, as `file:line name`."""
        for file, tree in self.trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.arg) and node.arg in EMPTY_NAMES:
                    yield f"{file}:{node.lineno} {node.arg}"
                if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Store):
                    continue
                if node.id in EMPTY_NAMES:
                    yield f"{file}:{node.lineno} {node.id}"

    def check_types(self) -> Iterator[str]:
        """Places that ask for the class of a check, as `file:line`."""
        for file, tree in self.trees.items():
            for node in ast.walk(tree):
                if not isinstance(node, ast.Call) or ast.unparse(node.func) != "isinstance":
                    continue
                asked = ast.unparse(node.args[1]).replace("CheckError", "")
                if "Check" in asked:
                    yield f"{file}:{node.lineno}"

    def repeated_classes(self) -> list[str]:
        """Names of classes that occur more than once; a leading underscore does not count."""
        classes = Counter(
            node.name.lstrip("_")
            for tree in self.trees.values()
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
        )
        return [name for name, times in classes.items() if times > 1]

    def _count(self, *kinds: type[ast.AST]) -> int:
        return sum(
            isinstance(node, kinds) for tree in self.trees.values() for node in ast.walk(tree)
        )

    def _source_lines(self) -> int:
        """Lines that are neither blank nor a comment."""
        stripped = (line.strip() for text in self.texts.values() for line in text.splitlines())
        return sum(bool(line) and not line.startswith("#") for line in stripped)


def main(arguments: list[str]) -> int:
    """Print the measures; returns 0 when all goals are met, else 1."""
    checkout = Path(arguments[0]) if arguments else ROOT
    house = House(checkout)
    goals = house.goals()
    problems = [
        *house.wide_lines(),
        *(str(function) for function in house.functions if function.complexity > COMPLEX),
        *house.empty_names(),
        *house.check_types(),
        *house.repeated_classes(),
    ]
    lines = [*map(str, goals), "", f"{len(problems)} places to look at:", *problems[:200]]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if all(goal.is_met for goal in goals) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
