"""Rules files that are right: those of the documentation, and one of each kind made of its
acceptance tests."""

import re
from functools import cache
from typing import Any

import yaml

from tests import ROOT, acceptance

_FENCE = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
_HEAD = "sources:\n  app: ${APP_DATABASE_URL}\n  other: sqlite:///other.db\nallow: {python: true}\n"


class _Writer(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes every text, also one that YAML 1.1 would take for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        """Everything is written out."""
        return True


def written(data: Any, *, flow: bool | None = False) -> str:
    """Plain data as YAML."""
    return yaml.dump(
        data,
        Dumper=_Writer,
        default_flow_style=flow,
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )


@cache
def files() -> tuple[str, ...]:
    """All of them, always in the same order."""
    found = [
        path.read_text(encoding="utf-8")
        for path in (ROOT / "rules.yaml", ROOT / "sanityd/authoring/demo/rules.yaml")
    ]
    for page in sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]):
        found += [
            text for text in _FENCE.findall(page.read_text(encoding="utf-8")) if "rules:\n" in text
        ]
    for kind in sorted(path.stem for path in acceptance.HERE.glob("*.yaml")):
        rules = [dict(case.rule) for case in acceptance.cases(kind) if case.refused is None]
        numbered = {
            f"{kind.replace('_', '-')}-{number}": rule for number, rule in enumerate(rules[:8])
        }
        found.append(_HEAD + written({"rules": numbered}, flow=None))
    return tuple(found)


@cache
def data() -> tuple[Any, ...]:
    """The same as plain data."""
    return tuple(yaml.load(text, acceptance.READER) for text in files())  # noqa: S506 (a SafeLoader)
