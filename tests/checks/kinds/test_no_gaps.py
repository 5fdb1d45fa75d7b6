"""`no_gaps` means the same on every database."""

from tests.acceptance import Case, Stage, cases_of


@cases_of("no_gaps")
def test_on_every_database(case: Case, stage: Stage) -> None:
    """The promises of `tests/acceptance/no_gaps.yaml`."""
    stage.plays(case)
