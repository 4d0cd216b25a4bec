import asyncio

import pytest
from warmlane_runtime.tasks import Tasks


async def forever():
    await asyncio.Event().wait()


async def returns():
    return 1


async def raises():
    raise ValueError("broken")


async def test_a_task_that_should_run_for_ever_and_returns_is_a_fault():
    tasks = Tasks()
    tasks.spawn("consumer", returns())
    fault = await asyncio.wait_for(tasks.wait_fault(), 1)
    assert "'consumer' ended" in str(fault)
    await tasks.stop()


@pytest.mark.parametrize("promise", [True, False])
async def test_a_task_that_raises_is_a_fault(promise):
    tasks = Tasks()
    tasks.spawn("consumer", raises(), forever=promise)
    fault = await asyncio.wait_for(tasks.wait_fault(), 1)
    assert isinstance(fault.__cause__, ValueError)
    await tasks.stop()


async def test_a_task_that_may_end_may_end():
    tasks = Tasks()
    await tasks.spawn("once", returns(), forever=False)
    await asyncio.sleep(0)
    assert tasks.fault is None
    assert tasks.names == []


async def test_stop_ends_all_and_is_no_fault():
    tasks = Tasks()
    one, two = tasks.spawn("b", forever()), tasks.spawn("a", forever())
    assert tasks.names == ["a", "b"]
    await tasks.stop()
    await tasks.stop()
    assert one.cancelled()
    assert two.cancelled()
    assert tasks.fault is None
    assert tasks.names == []


async def test_a_task_that_swallows_its_cancellation_is_asked_again():
    swallowed = 0

    async def stubborn():
        nonlocal swallowed
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed == 2:
                    raise

    tasks = Tasks()
    tasks.spawn("stubborn", stubborn())
    await asyncio.sleep(0)
    await tasks.stop()
    assert swallowed == 2


async def test_nothing_starts_after_stop():
    tasks = Tasks()
    await tasks.stop()
    with pytest.raises(RuntimeError, match="'late'"):
        tasks.spawn("late", forever())


async def test_while_draining_a_task_may_return_but_not_raise():
    tasks = Tasks()
    tasks.drain()
    await tasks.spawn("loop", returns())
    await asyncio.sleep(0)
    assert tasks.fault is None
    tasks.spawn("consumer", raises())
    assert isinstance((await asyncio.wait_for(tasks.wait_fault(), 1)).__cause__, ValueError)
    await tasks.stop()
