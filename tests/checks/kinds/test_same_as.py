"""`same_as` means the same on every database."""

from tests.acceptance import Case, Stage, cases_of


@cases_of("same_as")
def test_on_every_database(case: Case, stage: Stage) -> None:
    """The promises of `tests/acceptance/same_as.yaml`."""
    stage.plays(case)
