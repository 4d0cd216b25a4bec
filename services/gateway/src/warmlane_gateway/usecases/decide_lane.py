"""Deciding about a lane: by a person, or by the controller that could not start it."""

from datetime import UTC, datetime

import structlog
from warmlane_bus.ports import Bucket, Bus
from warmlane_contracts.messages import FallbackReason, LaneRouting, RoutingChoice
from warmlane_contracts.topology import ROUTING_BUCKET

log = structlog.get_logger(__name__)


class DecideLane:
    """Writes decisions where every gateway and admission replica reads them, within a second."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._bucket: Bucket | None = None

    async def __call__(
        self, lane: str, choice: RoutingChoice, *, denied: FallbackReason | None, by: str
    ) -> LaneRouting:
        """Decide; the last decision stands. Raise `BusUnavailable` when the broker did not confirm it."""
        if self._bucket is None:
            self._bucket = await self._bus.bucket(ROUTING_BUCKET)
        decided = LaneRouting(lane=lane, choice=choice, denied=denied, by=by, decided_at=datetime.now(UTC))
        await self._bucket.put(lane, decided.model_dump_json().encode())
        log.warning("gateway.lane_decided", lane=lane, choice=choice, denied=denied, by=by)
        return decided
