"""`not_matches` means the same on every database."""

from tests.acceptance import Case, Stage, cases_of


@cases_of("not_matches")
def test_on_every_database(case: Case, stage: Stage) -> None:
    """The promises of `tests/acceptance/not_matches.yaml`."""
    stage.plays(case)
