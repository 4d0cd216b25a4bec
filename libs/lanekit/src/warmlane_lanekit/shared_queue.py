"""The queues of a shared worker: rescued jobs first, then what waits.

    rescued ──► waiting for the resident model (three in a row at most) ──► waiting for the others, in turn

Going on with the resident model saves a switch; the bound keeps the others from waiting for it for ever. Nothing is
fetched ahead: a job that this worker cannot start now stays where another can take it. The worker listens to what is
published, and looks once a second in case it heard nothing.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from warmlane_bus.ports import Bus, Delivery, Pull
from warmlane_contracts.topology import LANE_STREAM, SHARED, WAIT_STREAM, shared_work, wait_consumer

IN_A_ROW = 3
"""How many jobs of the resident model are served while another model's wait."""
_LOOK_S = 1.0


class JobQueue(Protocol):
    """Where a worker's jobs come from."""

    async def fetch(self, timeout_s: float) -> Delivery | None:
        """Return the next job, None when none came in time."""
        ...


class SharedQueue:
    """See the module. `listen` must be running."""

    def __init__(self, *, rescued: Pull, waiting: Mapping[str, Pull], resident_lane: Callable[[], str | None]) -> None:
        self._rescued = rescued
        self._waiting = waiting
        self._resident_lane = resident_lane
        self._turn = list(waiting)
        self._in_a_row = 0
        self._some = asyncio.Event()

    @classmethod
    async def bind(cls, bus: Bus, *, lanes: tuple[str, ...], resident_lane: Callable[[], str | None]) -> "SharedQueue":
        """Bind to the consumers of these lanes."""
        waiting = {lane: await bus.pull(WAIT_STREAM, wait_consumer(lane)) for lane in lanes}
        return cls(rescued=await bus.pull(LANE_STREAM, SHARED), waiting=waiting, resident_lane=resident_lane)

    async def listen(self, bus: Bus) -> None:
        """Hear of new work, for ever."""
        async with contextlib.AsyncExitStack() as stack:
            heard = [await stack.enter_async_context(bus.hints(subject)) for subject in shared_work()]

            async def hear(hints: object) -> None:
                async for _ in hints:  # type: ignore[attr-defined]
                    self._some.set()

            await asyncio.gather(*(hear(hints) for hints in heard))

    async def fetch(self, timeout_s: float) -> Delivery | None:
        """Return the next job, None when none came in time."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._some.clear()
            found = await self._look()
            if found is not None:
                return found
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(_LOOK_S, left_s)):
                    await self._some.wait()

    async def _look(self) -> Delivery | None:
        found = await self._rescued.fetch_many(1, 0)
        if found:
            return found[0]
        resident = self._resident_lane()
        for lane in self._order(resident):
            found = await self._waiting[lane].fetch_many(1, 0)
            if found:
                self._served(lane, resident)
                return found[0]
        return None

    def _order(self, resident: str | None) -> list[str]:
        others = [lane for lane in self._turn if lane != resident]
        if resident is None:
            return others
        return [resident, *others] if self._in_a_row < IN_A_ROW else [*others, resident]

    def _served(self, lane: str, resident: str | None) -> None:
        self._in_a_row = self._in_a_row + 1 if lane == resident else 1
        self._turn.remove(lane)
        self._turn.append(lane)
