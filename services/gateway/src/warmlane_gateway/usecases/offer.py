"""Offering a task to the shared workers, and knowing what became of it.

    offer ─┬─ full ─────────► Rejected on the register ─► 503 at once
           └─ stored ─► hold ─┬─ claimed, cancelled ────► 202
                              └─ 30 s by our timer ─► Expired, if nobody was quicker ─► 503

Depth and wait are the broker's: it refuses the 26th and forgets a job after 30 s. The register decides between a claim
and an end, so the answer is what stands there and not what a timer thinks. When neither broker nor register can be asked,
the answer is 202: the task is durable, and its status will tell.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import structlog
from warmlane_bus.ports import Bus, BusMisconfigured, BusUnavailable, Full, Stored
from warmlane_bus.register import Lost, StateRegister, Written
from warmlane_contracts.errors import ErrorCode
from warmlane_contracts.ids import new_ulid
from warmlane_contracts.messages import Expired, Rejected, StateRecord
from warmlane_contracts.topology import WAIT_DEPTH, WAIT_S, WAIT_STREAM, wait_subject
from warmlane_runtime.faults import fault_point

from warmlane_gateway.consumers.changes import Changes
from warmlane_gateway.domain.overload import QueueOverloaded
from warmlane_gateway.metrics import OFFER_SECONDS, OFFERED

log = structlog.get_logger(__name__)

_PUBLISH_S = 10.0
_WRITE_S = 5.0
_LOOK_S = 5.0


@dataclass(frozen=True, slots=True)
class Offer:
    """A durable task that is offered, and what every write about it needs."""

    task_id: str
    job_id: str
    lane: str
    payload: bytes
    traceparent: str
    correlation_id: str


class Published(Protocol):
    """The outbox's side: forgets what need not be published again."""

    def forget(self, message_id: str) -> None:
        """Forget soon."""
        ...


class Offers:
    """Offers tasks and holds requests until their outcome is known."""

    def __init__(
        self, *, bus: Bus, register: StateRegister, changes: Changes, outbox: Published, retry_after_s: "RetryAfter"
    ) -> None:
        self._bus = bus
        self._register = register
        self._changes = changes
        self._outbox = outbox
        self._retry_after_s = retry_after_s
        self._draining = asyncio.Event()
        self._watches: set[asyncio.Task[bool]] = set()

    async def __call__(self, offer: Offer, *, wait: bool) -> None:
        """Offer a durable task; with `wait` return once it is claimed. Raise `QueueOverloaded` when it is refused.

        Without `wait` only a full queue is refused here; what comes later shows in the task's status.
        """
        fault_point("gateway.offering")
        if not await self.publish(offer):
            OFFER_SECONDS.labels("rejected").observe(0.0)
            raise self._overloaded(f"{WAIT_DEPTH} requests wait for a worker already.")
        watch = asyncio.create_task(self._watch(offer), name=f"offer:{offer.task_id}")
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        if wait and not await asyncio.shield(watch):
            raise self._overloaded(f"No worker took the request within {WAIT_S:g} s.")

    async def relay(self, offer: Offer) -> bool:
        """Publish what a crash or an outage left behind; return True when its row may go."""
        try:
            if await self._register.read(offer.lane, offer.job_id) is not None:
                return True
        except BusUnavailable:
            return False
        outcome = await self._bus.publish(
            wait_subject(offer.lane, offer.job_id), offer.payload, message_id=offer.job_id, within_s=_WRITE_S
        )
        OFFERED.labels(type(outcome).__name__).inc()
        return isinstance(outcome, Stored) or (isinstance(outcome, Full) and await self._reject(offer))

    async def publish(self, offer: Offer) -> bool:
        """Put the job among those that wait; False when there is no room and the register says so."""
        try:
            outcome = await self._bus.publish(
                wait_subject(offer.lane, offer.job_id), offer.payload, message_id=offer.job_id, within_s=_PUBLISH_S
            )
        except BusMisconfigured:
            log.exception("gateway.offer_refused", job_id=offer.job_id)
            return True
        OFFERED.labels(type(outcome).__name__).inc()
        match outcome:
            case Stored():
                self._outbox.forget(offer.job_id)
            case Full():
                return not await self._reject(offer)
            case _:
                log.warning("gateway.offer_undecided", job_id=offer.job_id, reason=outcome)
        return True

    async def expire(self, offer: Offer, waited_s: float) -> bool:
        """End a job nobody took; return True when it ended refused, False when it was claimed or otherwise settled."""
        expired = Expired(**_names(offer), reason=f"No worker took it within {WAIT_S:g} s.", waited_s=waited_s)
        return await self._end(offer, expired)

    async def still_waits(self, offer: Offer) -> bool:
        """Say whether the broker still offers the job. Raise `BusUnavailable`."""
        return await self._bus.last(WAIT_STREAM, wait_subject(offer.lane, offer.job_id)) is not None

    async def drain(self) -> None:
        """Hold nobody any longer. What is undecided stays with the register and the sweep of any gateway."""
        self._draining.set()
        if self._watches:
            await asyncio.wait(self._watches, timeout=_WRITE_S)

    async def _watch(self, offer: Offer) -> bool:
        """Return True once the job is claimed or may yet be, False once it is refused."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        with self._changes.watch(offer.task_id) as changed:
            while (left_s := began + WAIT_S - loop.time()) > 0:
                changed.clear()
                with suppress(BusUnavailable):
                    held = await self._register.read(offer.lane, offer.job_id)
                    if held is not None:
                        refused = _refused(held.record)
                        OFFER_SECONDS.labels("expired" if refused else "claimed").observe(loop.time() - began)
                        return not refused
                if await self._woken(changed, min(left_s, _LOOK_S)):
                    OFFER_SECONDS.labels("unknown").observe(loop.time() - began)
                    return True
        refused = await self.expire(offer, WAIT_S)
        OFFER_SECONDS.labels("expired" if refused else "unknown").observe(loop.time() - began)
        return not refused

    async def _woken(self, changed: asyncio.Event, within_s: float) -> bool:
        """Wait for a change; True when the gateway is about to stop."""
        waits = [asyncio.create_task(event.wait()) for event in (changed, self._draining)]
        try:
            await asyncio.wait(waits, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return self._draining.is_set()

    async def _reject(self, offer: Offer) -> bool:
        message = f"{WAIT_DEPTH} requests wait for a worker already."
        rejected = Rejected(**_names(offer), code=ErrorCode.QUEUE_OVERLOADED, message=message)
        if not await self._end(offer, rejected):
            return False
        self._outbox.forget(offer.job_id)
        return True

    async def _end(self, offer: Offer, record: StateRecord) -> bool:
        outcome = await self._register.write(
            record, after=0, traceparent=offer.traceparent, correlation_id=offer.correlation_id, within_s=_WRITE_S
        )
        match outcome:
            case Written():
                log.info("gateway.offer_ended", task_id=offer.task_id, how=type(record).__name__)
                return True
            case Lost(held) if held is not None:
                return _refused(held.record)
            case _:
                return False

    def _overloaded(self, detail: str) -> QueueOverloaded:
        return QueueOverloaded(detail, self._retry_after_s())


class RetryAfter(Protocol):
    """Knows when a place may be free."""

    def __call__(self) -> int:
        """Return whole seconds."""
        ...


def _names(offer: Offer) -> dict[str, str]:
    return {"task_id": offer.task_id, "job_id": offer.job_id, "lane": offer.lane, "record_id": new_ulid()}


def _refused(record: StateRecord) -> bool:
    return isinstance(record, Expired | Rejected)
