import asyncio

import pytest
from warmlane_runtime.lifecycle import Part, Phase


class Recorder(Part):
    def __init__(self, *, drains=0.0, fails_to_open=False):
        super().__init__()
        self.seen = []
        self.release = asyncio.Event()
        self.drains = drains
        self.fails_to_open = fails_to_open

    async def open(self):
        self.seen.append("open")
        if self.fails_to_open:
            raise OSError("port taken")

    async def drain(self):
        self.seen.append("drain")
        await self.release.wait()
        self.seen.append("drained")

    async def close(self):
        self.seen.append("close")


async def test_start_and_stop_happen_once_however_often_they_are_called():
    part = Recorder()
    await part.start()
    await part.start()
    part.release.set()
    await asyncio.gather(part.stop(soft_s=5), part.stop(), part.stop(soft_s=1))
    await part.stop()
    assert part.seen == ["open", "drain", "drained", "close"]
    assert part.phase is Phase.CLOSED


async def test_stop_before_start_leaves_nothing_to_run():
    part = Recorder()
    await part.stop(soft_s=5)
    assert (part.seen, part.phase) == ([], Phase.CLOSED)
    with pytest.raises(RuntimeError, match="make a new one"):
        await part.start()


async def test_a_drain_that_takes_too_long_is_cut_short():
    part = Recorder()
    await part.start()
    await part.stop(soft_s=0.05)
    assert part.seen == ["open", "drain", "close"]


async def test_without_soft_time_it_closes_at_once():
    part = Recorder()
    await part.start()
    await part.stop()
    assert part.seen == ["open", "close"]


async def test_a_part_that_cannot_open_is_closed_and_says_why():
    part = Recorder(fails_to_open=True)
    with pytest.raises(OSError, match="port taken"):
        await part.start()
    assert part.seen == ["open", "close"]
    assert part.phase is Phase.CLOSED


async def test_an_impatient_caller_does_not_leave_it_half_closed():
    part = Recorder()
    await part.start()
    impatient = asyncio.create_task(part.stop(soft_s=5))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.gather(impatient, return_exceptions=True)
    part.release.set()
    await part.stop()
    assert part.seen == ["open", "drain", "drained", "close"]
