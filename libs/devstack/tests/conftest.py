"""What several tests of the devstack wait with."""

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")
WAIT_S = 20.0


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], T]], T]:
    """Ask until the answer is true, and return it; fail after WAIT_S."""

    def wait(ask: Callable[[], T]) -> T:
        deadline = time.monotonic() + WAIT_S
        while not (answer := ask()):
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.02)
        return answer

    return wait
