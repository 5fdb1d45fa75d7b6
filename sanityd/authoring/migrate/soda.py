"""Soda: check files of Soda 3 (SodaCL) and contracts of Soda 4. Which of them a file is, it says itself."""

from collections.abc import Sequence
from pathlib import Path

from sanityd.authoring.migrate import reading, soda_cl, soda_contract
from sanityd.authoring.migrate.draft import Migration, Translation
from sanityd.authoring.migrate.keys import keyed, notes


def read(paths: Sequence[Path], source: str | None) -> Migration:
    """Read check files and contracts. `source` is the name of the database (that of the contract, or `app`)."""
    found: list[Translation] = []
    sources: dict[str, None] = {}
    for path in paths:
        root = reading.read(path)
        if not isinstance(root.value, dict):
            advice = "it begins with `checks for TABLE:` or with `dataset:`"
            raise reading.wrong(root, "this is neither a check file nor a contract", advice)
        is_contract = "dataset" in root.value
        name = source or (soda_contract.source_of(root) if is_contract else "app")
        sources[name] = None
        checks = soda_contract.read(root, name) if is_contract else soda_cl.read(root, name)
        found += sorted(checks, key=lambda one: one.place.line)
    done = keyed(found)
    return Migration("soda", tuple(done), tuple(sources), notes(done))
