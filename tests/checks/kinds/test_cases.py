"""Every kind means the same on every database: the cases of `tests/acceptance/<kind>.yaml`."""

from tests.acceptance import Case, Stage, every_case


@every_case()
def test_a_kind_means_the_same_on_every_database(case: Case, stage: Stage) -> None:
    stage.plays(case)
