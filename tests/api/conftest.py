"""What is announced does not depend on where sanityd's memory is; `tests/store` tells both apart."""

import pytest


@pytest.fixture
def state(sqlite: str) -> str:
    """The quicker one."""
    return sqlite
