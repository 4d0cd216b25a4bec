"""What the gateway knows of its lanes: who is alive and warm, how long a clip takes, how many tasks wait.

For showing, for estimates, and for refusing when a lane's queue is at its bound; never for correctness.
"""

import asyncio
import math

import structlog
from pydantic import ValidationError
from warmlane_bus.ports import Bus, BusUnavailable
from warmlane_contracts.messages import LaneRecord
from warmlane_contracts.topology import DIRECTORY_BUCKET
from warmlane_storage.postgres import PASSING

from warmlane_gateway.adapters.tasks import Tasks
from warmlane_gateway.domain.overload import QueueOverloaded
from warmlane_gateway.metrics import WAITING

log = structlog.get_logger(__name__)

_EVERY_S = 1.0
_GUESS_S = 60
"""How long a clip takes when no worker has said yet."""


class Lanes:
    """Keeps the lane directory and the queues' lengths in memory. `run` must be running."""

    def __init__(self, *, bus: Bus, tasks: Tasks, lanes: tuple[str, ...], bound: int) -> None:
        self._bus = bus
        self._tasks = tasks
        self._lanes = lanes
        self._bound = bound
        self._records: list[LaneRecord] = []
        self._waiting: dict[str, int] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """All lanes there are."""
        return self._lanes

    def workers(self, lane: str) -> list[LaneRecord]:
        """Return the records of a lane's living workers."""
        return [record for record in self._records if record.lane_key == lane]

    def waiting(self, lane: str) -> int:
        """Return how many tasks waited for the lane a moment ago."""
        return self._waiting.get(lane, 0)

    def service_s(self, lane: str) -> float | None:
        """Return the mean seconds a clip takes on the lane, None when no worker has made one."""
        times = [record.service_s for record in self.workers(lane) if record.service_s is not None]
        return sum(times) / len(times) if times else None

    def eta_s(self, lane: str, position: int) -> float:
        """Return the seconds until a task that has `position` others before it is done."""
        warm = sum(record.warm for record in self.workers(lane)) or 1
        return (self.service_s(lane) or _GUESS_S) * (1 + position / warm)

    def check_queue(self, lane: str) -> None:
        """Raise `QueueOverloaded` when the lane's queue is at its bound."""
        waiting = self.waiting(lane)
        if waiting >= self._bound:
            raise QueueOverloaded(f"{waiting} tasks wait for {lane} already.", self._retry_after_s(lane))

    def _retry_after_s(self, lane: str) -> int:
        """Return in how many whole seconds a place should be free: about one clip from now, a minute at most."""
        return min(_GUESS_S, max(1, math.ceil(self.eta_s(lane, 0))))

    async def run(self) -> None:
        """Look once a second, for ever."""
        bucket = await self._bus.bucket(DIRECTORY_BUCKET)
        while True:
            try:
                self._waiting = await self._tasks.waiting_by_lane()
                for lane in self._lanes:
                    WAITING.labels(lane).set(self.waiting(lane))
                self._records = [record for entry in await bucket.entries() if (record := _read(entry.value))]
            except (BusUnavailable, *PASSING) as away:
                log.warning("gateway.lanes_not_read", reason=repr(away))
            await asyncio.sleep(_EVERY_S)


def _read(value: bytes) -> LaneRecord | None:
    try:
        return LaneRecord.model_validate_json(value)
    except ValidationError:
        return None
