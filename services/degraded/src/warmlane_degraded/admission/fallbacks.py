"""Notices when a lane's requests begin to go to shared workers, and when they stop; tells it once, and keeps it for all to
see.

    decided anew every second ─► Degraded, and nothing is kept ─► keep it (one replica wins) ─► FallbackActivated
                              └► Dedicated, and one is kept ────► forget it ─► FallbackEnded with its seconds

The decision itself is made by each gateway for each request; this is its record.
"""

from datetime import UTC, datetime

import structlog
from warmlane_bus.lane_directory import LaneDirectory
from warmlane_bus.ports import Bucket, Bus
from warmlane_contracts.envelope import encode, seal
from warmlane_contracts.messages import FallbackActivated, FallbackEnded, FallbackReason, LaneFallback, Message
from warmlane_contracts.topology import event_subject, fallback_key
from warmlane_jobs.routing import Degraded, decide_route

from warmlane_degraded.admission.metrics import FALLBACK_SECONDS, FALLBACKS, FALLING_BACK

log = structlog.get_logger(__name__)

_WITHIN_S = 5.0


class Fallbacks:
    """Keeps the record of all lanes' fallbacks. `note` after each refresh of the directory."""

    def __init__(self, *, bus: Bus, bucket: Bucket, directory: LaneDirectory, replica: str) -> None:
        self._bus = bus
        self._bucket = bucket
        self._directory = directory
        self._replica = replica

    async def note(self) -> None:
        """Compare what is decided with what is kept. Raise `BusUnavailable`; the next look does it then."""
        for lane in self._directory.lanes:
            route, kept = decide_route(self._directory.facts(lane)), self._directory.fallback(lane)
            FALLING_BACK.labels(lane).set(isinstance(route, Degraded))
            reason = route.reason if isinstance(route, Degraded) else None
            if kept is not None and kept.reason != reason:
                await self._end(kept)
                kept = None
            if kept is None and reason is not None:
                await self._begin(lane, reason)

    async def _begin(self, lane: str, reason: FallbackReason) -> None:
        since = datetime.now(UTC)
        kept = LaneFallback(lane=lane, reason=reason, by=self._replica, since=since)
        if await self._bucket.create(fallback_key(lane), kept.model_dump_json().encode()) is None:
            return  # another replica noticed first
        FALLBACKS.labels(lane, reason).inc()
        log.warning("admission.fallback_activated", lane=lane, reason=reason)
        await self._tell(kept, "activated", FallbackActivated(lane=lane, worker=self._replica, reason=reason))

    async def _end(self, kept: LaneFallback) -> None:
        seconds = max(0.0, (datetime.now(UTC) - kept.since).total_seconds())
        await self._bucket.delete(fallback_key(kept.lane))
        FALLBACK_SECONDS.labels(kept.lane, kept.reason).observe(seconds)
        log.info("admission.fallback_ended", lane=kept.lane, reason=kept.reason, seconds=round(seconds, 1))
        ended = FallbackEnded(lane=kept.lane, worker=self._replica, reason=kept.reason, seconds=seconds)
        await self._tell(kept, "ended", ended)

    async def _tell(self, kept: LaneFallback, what: str, fact: Message) -> None:
        """Publish under an id that every replica would choose, so that two that notice at once tell it once."""
        envelope = seal(fact, source="warmlane/degraded-admission", subject=kept.lane)
        message_id = f"fallback.{kept.lane}.{kept.since.timestamp()}.{what}"
        subject = event_subject(kept.lane, "fallback")
        await self._bus.publish(subject, encode(envelope), message_id=message_id, within_s=_WITHIN_S)
