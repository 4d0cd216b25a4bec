"""Publishing what is durable: at once after the commit, and by the relay what a crash left behind.

    commit ──► dispatch ──► published ──► outbox row removed
        └── crash ──► relay: rows older than two seconds, the oldest first, each by one relay at a time

Both publish under the job's id, so that the broker keeps one copy whoever was quicker. A job that is offered to shared
workers may be refused for want of room; the relay then ends it as the request would have.
"""

import asyncio
from typing import cast

import structlog
from warmlane_bus.ports import Bus, BusMisconfigured, Stored
from warmlane_contracts.envelope import decode
from warmlane_contracts.messages import JobRequested
from warmlane_contracts.topology import is_waiting
from warmlane_runtime.faults import fault_point
from warmlane_storage.postgres import PASSING

from warmlane_gateway.adapters.outbox import Outbox, Outgoing
from warmlane_gateway.domain.task import NewTask
from warmlane_gateway.metrics import DISPATCHED
from warmlane_gateway.usecases.offer import Offer, Offers

log = structlog.get_logger(__name__)

_STALE_S = 2.0
_PAUSE_S = 1.0
_BATCH = 200
_TOGETHER_S = 0.05
"""How long published rows are collected before they are forgotten: one commit for all instead of one for each."""


class Dispatch:
    """Publishes freshly committed jobs in the background. `run` must be running; it forgets published rows in groups."""

    def __init__(self, bus: Bus, outbox: Outbox) -> None:
        self._bus = bus
        self._outbox = outbox
        self._publishing: set[asyncio.Task[None]] = set()
        self._published: list[str] = []
        self._some = asyncio.Event()

    def __call__(self, task: NewTask) -> None:
        """Publish soon. Whatever goes wrong, the row stays and the relay takes it up."""
        fault_point("gateway.committed")
        self.publish(Outgoing(task.job.job_id, task.subject, task.payload))

    def publish(self, outgoing: Outgoing) -> None:
        """Publish a row of the outbox soon, and forget it then."""
        publishing = asyncio.create_task(self._publish(outgoing), name="dispatch")
        self._publishing.add(publishing)
        publishing.add_done_callback(self._publishing.discard)

    async def run(self) -> None:
        """Forget published rows for ever."""
        while True:
            await self._some.wait()
            await asyncio.sleep(_TOGETHER_S)
            self._some.clear()
            ids, self._published = self._published, []
            try:
                await self._outbox.remove(ids)
            except PASSING as away:
                # The relay publishes them again; the broker drops the copies.
                log.warning("gateway.outbox_not_emptied", rows=len(ids), reason=repr(away))

    def forget(self, message_id: str) -> None:
        """Remove a row soon: its message was published, or will never be."""
        self._published.append(message_id)
        self._some.set()

    async def drain(self) -> None:
        """Return when nothing is being published any more."""
        while self._publishing:
            await asyncio.wait(self._publishing)

    async def _publish(self, outgoing: Outgoing) -> None:
        if await _sent(self._bus, outgoing, by="dispatch"):
            self.forget(outgoing.message_id)


class Relay:
    """Publishes what is still in the outbox."""

    def __init__(self, bus: Bus, outbox: Outbox, offers: Offers) -> None:
        self._bus = bus
        self._outbox = outbox
        self._offers = offers

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            try:
                moved = await self.sweep()
            except PASSING as away:
                log.warning("gateway.relay_paused", reason=repr(away))
                moved = 0
            if moved < _BATCH:
                await asyncio.sleep(_PAUSE_S)

    async def sweep(self) -> int:
        """Publish one batch; return how many went."""
        async with self._outbox.stale(older_than_s=_STALE_S, limit=_BATCH) as (rows, published):
            sent = await asyncio.gather(*(self._send(row) for row in rows))
            if any(sent):
                fault_point("relay.published")
            published += [row.message_id for row, went in zip(rows, sent, strict=True) if went]
        if published:
            log.info("gateway.relayed", rows=len(published))
        return len(published)

    async def _send(self, row: Outgoing) -> bool:
        if not is_waiting(row.subject):
            return await _sent(self._bus, row, by="relay")
        envelope = decode(row.payload)
        job = cast("JobRequested", envelope.data)
        offer = Offer(job.task_id, job.job_id, job.lane, row.payload, envelope.traceparent, envelope.correlation_id)
        return await self._offers.relay(offer)


async def _sent(bus: Bus, outgoing: Outgoing, *, by: str) -> bool:
    try:
        outcome = await bus.publish(outgoing.subject, outgoing.payload, message_id=outgoing.message_id, within_s=5.0)
    except BusMisconfigured:
        log.exception("gateway.dispatch_refused", job_id=outgoing.message_id)
        return False
    DISPATCHED.labels(by, type(outcome).__name__).inc()
    if not isinstance(outcome, Stored):
        log.warning("gateway.dispatch_put_off", job_id=outgoing.message_id, outcome=type(outcome).__name__)
    return isinstance(outcome, Stored)
