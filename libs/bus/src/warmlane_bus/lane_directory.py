"""What is known of the lanes: who lives, who is warm, what people decided. Read once a second, kept in memory.

    bucket wl_lanes   ─► workers' records; one that was not renewed for two and a half heartbeats counts as gone
    bucket wl_routing ─► choices and denials, and whose requests fall back since when
    both              ─► LaneFacts, from which `warmlane_jobs.routing` decides

For routing and for showing, never for correctness: who has a job is decided by its register alone. While the broker is
away the last reading stands.
"""

import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from pydantic import BaseModel, ValidationError
from warmlane_contracts.messages import LaneFallback, LaneRecord, LaneRouting
from warmlane_contracts.topology import DIRECTORY_BUCKET, HEARTBEAT_S, ROUTING_BUCKET, SHARED, fallback_key
from warmlane_jobs.routing import LaneFacts

from warmlane_bus.ports import Bucket, Bus

log = structlog.get_logger(__name__)

GONE_S = 2.5 * HEARTBEAT_S
UNBOUNDED = 2**31

M = TypeVar("M", bound=BaseModel)


class LaneDirectory:
    """The lanes as of the last `refresh`. Times are this process's monotonic clock, so no clock need agree with another."""

    def __init__(self, *, lanes: tuple[str, ...], clock: Callable[[], float] = time.monotonic) -> None:
        """Know nothing yet; lanes count as unready from now on."""
        self.lanes = lanes
        self._clock = clock
        self._directory: Bucket | None = None
        self._routing: Bucket | None = None
        self._workers: list[LaneRecord] = []
        self._choices: dict[str, LaneRouting] = {}
        self._fallbacks: dict[str, LaneFallback] = {}
        self._seen: dict[str, tuple[int, float]] = {}
        self._ready_at = dict.fromkeys(lanes, clock())

    async def open(self, bus: Bus) -> None:
        """Bind to the buckets."""
        self._directory = await bus.bucket(DIRECTORY_BUCKET)
        self._routing = await bus.bucket(ROUTING_BUCKET)

    async def refresh(self) -> None:
        """Read both buckets. Raise `BusUnavailable`; the last reading stands then."""
        assert self._directory is not None, "open() comes first"  # noqa: S101 - a misuse, not a state
        assert self._routing is not None  # noqa: S101 - opened together
        entries = await self._directory.entries()
        self._workers = [
            record
            for entry in entries
            if self._lives(entry.key, entry.revision) and (record := _read(LaneRecord, entry.value))
        ]
        self._seen = {entry.key: self._seen[entry.key] for entry in entries}
        decided = {entry.key: entry.value for entry in await self._routing.entries()}
        self._choices = {
            lane: routing for lane in self.lanes if lane in decided and (routing := _read(LaneRouting, decided[lane]))
        }
        keys = {lane: fallback_key(lane) for lane in self.lanes}
        self._fallbacks = {
            lane: fallback
            for lane, key in keys.items()
            if key in decided and (fallback := _read(LaneFallback, decided[key]))
        }
        for lane in self.lanes:
            if self._ready(lane):
                self._ready_at[lane] = self._clock()

    def workers(self, lane: str) -> list[LaneRecord]:
        """Return the records of a lane's living workers, or with `shared` those of the shared workers."""
        return [record for record in self._workers if record.lane_key == lane]

    def ready_shared(self) -> int:
        """Return how many shared workers could take a job."""
        return self._ready(SHARED)

    def routing(self, lane: str) -> LaneRouting | None:
        """Return what was decided about a lane, None when nothing was."""
        return self._choices.get(lane)

    def fallback(self, lane: str) -> LaneFallback | None:
        """Return why and since when a lane's requests go to shared workers, None while they do not."""
        return self._fallbacks.get(lane)

    def facts(self, lane: str, *, waiting: int = 0, bound: int = UNBOUNDED) -> LaneFacts:
        """Return what routing decides from."""
        routing, ready = self.routing(lane), self._ready(lane)
        return LaneFacts(
            ready_workers=ready,
            waiting=waiting,
            bound=bound,
            unready_s=0.0 if ready else self._clock() - self._ready_at[lane],
            shared_workers=self.ready_shared(),
            choice=routing.choice if routing else "auto",
            denied=routing.denied if routing else None,
        )

    def service_s(self, lane: str) -> float | None:
        """Return the mean seconds a clip takes on a lane (or `shared`), None when no worker has made one."""
        times = [record.service_s for record in self.workers(lane) if record.service_s is not None]
        return sum(times) / len(times) if times else None

    def _ready(self, lane: str) -> int:
        return sum(record.availability == "ready" for record in self.workers(lane))

    def _lives(self, key: str, revision: int) -> bool:
        known, since = self._seen.get(key, (0, 0.0))
        if known != revision:
            since = self._clock()
        self._seen[key] = (revision, since)
        return self._clock() - since < GONE_S


def _read(kind: type[M], value: bytes) -> M | None:
    """Return a value as a message; None for what a newer service wrote and this one does not understand."""
    try:
        return kind.model_validate_json(value)
    except ValidationError as bad:
        log.warning("bus.lane_record_not_understood", kind=kind.__name__, errors=bad.error_count())
        return None
