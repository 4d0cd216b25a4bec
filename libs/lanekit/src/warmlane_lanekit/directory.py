"""The worker's entry in the lane directory, renewed while it lives; it fades by itself when it does not."""

import asyncio
import contextlib

import structlog
from warmlane_bus.ports import Bucket, BusUnavailable
from warmlane_contracts.messages import Availability, LaneRecord
from warmlane_contracts.topology import HEARTBEAT_S, directory_key

from warmlane_lanekit.claim import now
from warmlane_lanekit.residency import Residency, State

log = structlog.get_logger(__name__)


def availability(residency: Residency) -> Availability:
    """Return what a residency means for clients: ready, cold (will be ready by itself), unavailable (it failed)."""
    if residency.warm:
        return "ready"
    return "unavailable" if residency.state is State.LOST else "cold"


class Directory:
    """Keeps one worker's record present. `touch` after anything in it changed."""

    def __init__(self, bucket: Bucket, *, lane: str, worker: str) -> None:
        self._bucket = bucket
        self._key = directory_key(lane, worker)
        self._record: LaneRecord | None = None
        self._changed = asyncio.Event()

    def touch(self, record: LaneRecord) -> None:
        """Publish this record soon, and again at every heartbeat."""
        self._record = record
        self._changed.set()

    async def run(self) -> None:
        """Renew for ever."""
        while True:
            if self._record is not None:
                await self._write(self._record)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._changed.wait()
            self._changed.clear()

    async def remove(self) -> None:
        """Leave the directory at once instead of fading."""
        with contextlib.suppress(BusUnavailable):
            await self._bucket.delete(self._key, within_s=1.0)

    async def _write(self, record: LaneRecord) -> None:
        value = record.model_copy(update={"updated_at": now()}).model_dump_json().encode()
        try:
            await self._bucket.put(self._key, value, within_s=HEARTBEAT_S)
        except BusUnavailable as away:
            log.info("lane.record_not_renewed", reason=str(away))
