"""Keeping a claim alive, and learning that it is over.

Every few seconds: renew the lease; only if that held, tell the broker that the message is still worked on; then read the
register. A lease that a later term took, or a register that went on without us, ends the claim. A broker that does not
answer ends nothing: the outcome is fenced anyway. A cancel hint makes the next reading happen now.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from enum import StrEnum

import structlog
from warmlane_bus.lease import Lease, LeaseLost, Renewed
from warmlane_bus.ports import BusUnavailable, Delivery
from warmlane_bus.register import StateRegister
from warmlane_contracts.messages import Cancelled

from warmlane_lanekit.claim import Claim
from warmlane_lanekit.metrics import HEARTBEATS

log = structlog.get_logger(__name__)


class Ending(StrEnum):
    """Why a claim is over before its work is."""

    CANCELLED = "cancelled"
    LOST = "lost"


class Heartbeat:
    """The heartbeat of one claim."""

    def __init__(
        self, claim: Claim, *, lease: Lease, register: StateRegister, delivery: Delivery, interval_s: float
    ) -> None:
        self._claim = claim
        self._lease = lease
        self._register = register
        self._delivery = delivery
        self._interval_s = interval_s
        self._now = asyncio.Event()
        self._ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    @contextlib.asynccontextmanager
    async def beating(self) -> AsyncIterator["asyncio.Future[Ending]"]:
        """Beat inside the block; the future resolves if the claim ends from outside."""
        task = asyncio.create_task(self._beat(), name=f"heartbeat:{self._claim.job.job_id}")
        try:
            yield self._ended
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def look_now(self) -> None:
        """Read the register at once: somebody hinted that it has changed."""
        self._now.set()

    async def _beat(self) -> None:
        while not self._ended.done():
            try:
                await self._renew()
                await self._look()
            except Exception:
                log.exception("lane.heartbeat_failed", task_id=self._claim.job.task_id)
            await self._pause()

    async def _pause(self) -> None:
        # Jitter keeps a fleet that started together from beating together.
        wait_s = self._interval_s * random.uniform(0.8, 1.0)  # noqa: S311 - no secret
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._now.wait()
        self._now.clear()

    async def _renew(self) -> None:
        outcome = await self._lease.renew()
        HEARTBEATS.labels(self._claim.job.lane, type(outcome).__name__).inc()
        match outcome:
            case Renewed():
                await self._delivery.in_progress()
            case LeaseLost():
                self._end(Ending.LOST)
            case _:
                log.info("lane.heartbeat_unanswered", task_id=self._claim.job.task_id)

    async def _look(self) -> None:
        try:
            held = await self._register.read(self._claim.job.lane, self._claim.job.job_id)
        except BusUnavailable:
            return
        if held is not None and held.seq != self._claim.seq:
            self._end(Ending.CANCELLED if isinstance(held.record, Cancelled) else Ending.LOST)

    def _end(self, ending: Ending) -> None:
        if not self._ended.done():
            log.info("lane.claim_ended", task_id=self._claim.job.task_id, claim_seq=self._claim.seq, ending=ending)
            self._ended.set_result(ending)
