"""Hearing requests: a job handed to any lane names a model, and this node may not have it yet.

Jobs are heard as they are published, not consumed: no acknowledgement, no effect on the lane. One that is missed costs
nothing but time, because lanes ensure their own model before they take work.
"""

import structlog
from warmlane_bus.ports import Bus
from warmlane_contracts.envelope import UnknownMessageError, decode
from warmlane_contracts.messages import JobRequested
from warmlane_contracts.topology import all_lane_jobs

from warmlane_models.worklist import Worklist

log = structlog.get_logger(__name__)


async def prewarm(bus: Bus, worklist: Worklist) -> None:
    """Offer the model of every request to the worklist, for ever."""
    async with bus.hints(all_lane_jobs()) as hints:
        async for hint in hints:
            try:
                message = decode(hint.data).data
            except UnknownMessageError:
                continue
            if isinstance(message, JobRequested) and worklist.offer(message.model):
                log.info("models.prewarm_queued", model=message.model, task_id=message.task_id)
