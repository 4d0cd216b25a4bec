"""What the gateway knows of its lanes: who is alive and warm, how long a clip takes, how many tasks wait.

For routing, for showing, for estimates, and for refusing when a lane's queue is at its bound; never for correctness.
"""

import asyncio
import math

import structlog
from warmlane_bus.lane_directory import LaneDirectory
from warmlane_bus.ports import Bus, BusUnavailable
from warmlane_contracts.catalogue import ResolvedRequest
from warmlane_contracts.messages import LaneRecord
from warmlane_contracts.topology import SHARED, WAIT_STREAM
from warmlane_jobs.routing import Route, decide_route
from warmlane_storage.postgres import PASSING

from warmlane_gateway.adapters.tasks import Tasks
from warmlane_gateway.domain.budget import check_fits
from warmlane_gateway.domain.overload import QueueOverloaded
from warmlane_gateway.domain.task import Task
from warmlane_gateway.metrics import WAITING

log = structlog.get_logger(__name__)

_EVERY_S = 1.0
_GUESS_S = 60
"""How long a clip takes when no worker has said yet."""


class Lanes:
    """Keeps the lane directory and the queues' lengths in memory. `run` must be running."""

    def __init__(self, *, bus: Bus, tasks: Tasks, lanes: tuple[str, ...], bound: int) -> None:
        self.directory = LaneDirectory(lanes=lanes)
        self.offered = 0
        """How many jobs waited for a shared worker a moment ago, by the broker's count."""
        self.oldest_wait_s: float | None = None
        self._bus = bus
        self._tasks = tasks
        self._bound = bound
        self._waiting: dict[str, int] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """All lanes there are."""
        return self.directory.lanes

    def workers(self, lane: str) -> list[LaneRecord]:
        """Return the records of a lane's living workers."""
        return self.directory.workers(lane)

    def waiting(self, lane: str) -> int:
        """Return how many tasks waited for the lane a moment ago."""
        return self._waiting.get(lane, 0)

    def route(self, lane: str) -> Route:
        """Decide where a request for the lane goes now, from what is in memory."""
        return decide_route(self.directory.facts(lane, waiting=self.waiting(lane), bound=self._bound))

    def service_s(self, lane: str) -> float | None:
        """Return the mean seconds a clip takes on the lane, None when no worker has made one."""
        return self.directory.service_s(lane)

    def eta_s(self, task: Task, position: int) -> float:
        """Return the seconds until a task that has `position` others before it is done."""
        return self._done_in_s(SHARED if task.waits_for_shared else task.lane, position)

    def check_memory(self, request: ResolvedRequest) -> None:
        """Raise `exceeds_memory_budget` when no measured worker that may run the request could hold it."""
        check_fits(request, [*self.workers(request.lane), *self.workers(SHARED)])

    def check_queue(self, lane: str) -> None:
        """Raise `QueueOverloaded` when the lane's queue is at its bound."""
        waiting = self.waiting(lane)
        if waiting >= self._bound:
            raise QueueOverloaded(f"{waiting} tasks wait for {lane} already.", self.retry_after_s(lane))

    def retry_after_s(self, lane: str = SHARED) -> int:
        """Return in how many whole seconds a place should be free: about one clip from now, a minute at most."""
        return min(_GUESS_S, max(1, math.ceil(self._done_in_s(lane, 0))))

    def _done_in_s(self, lane: str, position: int) -> float:
        ready = sum(record.availability == "ready" for record in self.workers(lane)) or 1
        return (self.service_s(lane) or _GUESS_S) * (1 + position / ready)

    async def run(self) -> None:
        """Look once a second, for ever."""
        await self.directory.open(self._bus)
        while True:
            try:
                await self._look()
            except (BusUnavailable, *PASSING) as away:
                log.warning("gateway.lanes_not_read", reason=repr(away))
            await asyncio.sleep(_EVERY_S)

    async def _look(self) -> None:
        await self.directory.refresh()
        self.offered = await self._bus.depth(WAIT_STREAM)
        self._waiting = await self._tasks.waiting_by_lane()
        self.oldest_wait_s = await self._tasks.oldest_wait_s() if self.offered else None
        for lane in self.names:
            WAITING.labels(lane).set(self.waiting(lane))
