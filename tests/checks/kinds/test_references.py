"""`references` means the same on every database."""

from tests.acceptance import Case, Stage, cases_of


@cases_of("references")
def test_on_every_database(case: Case, stage: Stage) -> None:
    """The promises of `tests/acceptance/references.yaml`."""
    stage.plays(case)
