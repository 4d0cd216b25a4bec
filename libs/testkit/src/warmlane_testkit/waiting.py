"""Waiting for a condition, with a deadline. The only way a test may wait for something it cannot await."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")

_PAUSE_S = 0.02


@overload
async def eventually(
    condition: Callable[[], Awaitable[T]], *, within_s: float = 10.0, why: str = "", pause_s: float = _PAUSE_S
) -> T: ...


@overload
async def eventually(
    condition: Callable[[], T], *, within_s: float = 10.0, why: str = "", pause_s: float = _PAUSE_S
) -> T: ...


async def eventually(
    condition: Callable[[], object], *, within_s: float = 10.0, why: str = "", pause_s: float = _PAUSE_S
) -> object:
    """Return the first true value of `condition`, asked again and again; fail the test when none comes in time.

    An `AssertionError` counts as not yet, so that a block of assertions can be waited for; the last one is shown.
    """
    name = why or getattr(condition, "__name__", "condition")
    deadline = time.monotonic() + within_s
    last: object = None
    while True:
        try:
            answer = condition()
            last = await answer if inspect.isawaitable(answer) else answer
            if last:
                return last
        except AssertionError as not_yet:
            last = not_yet
        if time.monotonic() >= deadline:
            message = f"{name} did not hold within {within_s:g} s; last: {last!r}"
            raise AssertionError(message)
        await asyncio.sleep(pause_s)
