"""What is told does not depend on where sanityd's memory is; `test_pipeline.py` tells both
apart."""

import pytest


@pytest.fixture
def state(sqlite: str) -> str:
    """The quicker one."""
    return sqlite
