"""`rejected_values` means the same on every database."""

from tests.acceptance import Case, Stage, cases_of


@cases_of("rejected_values")
def test_on_every_database(case: Case, stage: Stage) -> None:
    """The promises of `tests/acceptance/rejected_values.yaml`."""
    stage.plays(case)
