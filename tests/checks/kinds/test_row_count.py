"""`row_count` means the same on every database."""

from tests.acceptance import Case, Stage, cases_of


@cases_of("row_count")
def test_on_every_database(case: Case, stage: Stage) -> None:
    """The promises of `tests/acceptance/row_count.yaml`."""
    stage.plays(case)
