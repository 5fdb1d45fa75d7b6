"""The reference of the Python interface names everything that is public, and nothing else."""

import dataclasses
import inspect
import re

import sanityd
from tests import ROOT

PAGE = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
WORDS = set(re.findall(r"`([a-z_A-Z]+)", PAGE))


def test_every_public_name_is_explained() -> None:
    names = {name for name in sanityd.__all__ if name != "__version__"}
    documented = WORDS | {
        name.removeprefix("sanityd.") for name in re.findall(r"sanityd\.\w+", PAGE)
    }
    assert names - documented == set()


def test_every_field_and_method_is_explained() -> None:
    for name in sanityd.__all__:
        value = getattr(sanityd, name)
        if not inspect.isclass(value) or name == "Problem":
            continue
        public = {member for member in vars(value) if not member.startswith("_")}
        if dataclasses.is_dataclass(value):
            public |= {field.name for field in dataclasses.fields(value)}
        if issubclass(value, Exception):
            public &= {"problems", "message"}
        assert public - WORDS == set(), name
