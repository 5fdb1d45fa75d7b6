"""Soda: check files of Soda 3 (SodaCL) and contracts of Soda 4, told apart by their content."""

from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path

from sanityd.authoring.migrate import soda_cl, soda_contract
from sanityd.authoring.migrate.foreign_yaml import error_at, read_yaml
from sanityd.authoring.migrate.import_result import ImportedCheck, ImportResult
from sanityd.authoring.migrate.row_keys import add_row_keys, row_key_notes


def read(paths: Sequence[Path], source: str | None) -> ImportResult:
    """Read check files and contracts.

    Parameters: `source` is the name of the database; by default that of the contract, or `app`.
    """
    checks: list[ImportedCheck] = []
    sources: dict[str, None] = {}
    for path in paths:
        root = read_yaml(path)
        if not isinstance(root.value, dict):
            advice = "it begins with `checks for TABLE:` or with `dataset:`"
            raise error_at(root, "this is neither a check file nor a contract", advice)
        if "dataset" in root.value:
            file_source = source or soda_contract.source_of(root)
            file_checks = soda_contract.read(root, file_source)
        else:
            file_source = source or "app"
            file_checks = soda_cl.read(root, file_source)
        sources[file_source] = None
        checks += sorted(file_checks, key=attrgetter("location.line"))
    checks = add_row_keys(checks)
    return ImportResult("soda", tuple(checks), tuple(sources), row_key_notes(checks))
