"""`not_null` means the same on every database."""

from tests.acceptance import Case, Stage, cases_of


@cases_of("not_null")
def test_on_every_database(case: Case, stage: Stage) -> None:
    """The promises of `tests/acceptance/not_null.yaml`."""
    stage.plays(case)
