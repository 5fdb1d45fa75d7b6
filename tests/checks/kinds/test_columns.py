"""`columns` means the same on every database."""

from tests.acceptance import Case, Stage, cases_of


@cases_of("columns")
def test_on_every_database(case: Case, stage: Stage) -> None:
    """The promises of `tests/acceptance/columns.yaml`."""
    stage.plays(case)
