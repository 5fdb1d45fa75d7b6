"""`has` means the same on every database."""

from tests.acceptance import Case, Stage, cases_of


@cases_of("has")
def test_on_every_database(case: Case, stage: Stage) -> None:
    """The promises of `tests/acceptance/has.yaml`."""
    stage.plays(case)
