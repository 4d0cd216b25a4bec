"""Offers the jobs of a lane that nobody there will take to the shared workers.

    lane's token ──► ended ──► ack      somebody works on it ──► nak
                 ──► offered ──► claimed ──► ack
                            ├──► the lane is back ──► nak: it takes it itself, the first claim wins
                            ├──► nobody within 30 s ──► Expired ──► ack
                            └──► the same, but it was begun before ──► nak: it waits on in its lane
                 ──► the waiting queue is full ──► nak, and again in a while

The token stays ours while the job is offered, so a replica that dies leaves it to another. An accepted job keeps its
place in its lane until the shared workers are likely to take it in time: it is offered as one of a few, not of all.
"""

import asyncio
import time

import structlog
from warmlane_bus.lane_directory import LaneDirectory
from warmlane_bus.lease import sign_of_life
from warmlane_bus.ports import Bucket, Bus, BusUnavailable, Delivery, Full, Pull, Stored
from warmlane_bus.register import StateRegister
from warmlane_contracts.envelope import Envelope, UnknownMessageError, decode, encode
from warmlane_contracts.ids import new_ulid
from warmlane_contracts.messages import TERMINAL, Expired, FallbackReason, JobRequested, Message
from warmlane_contracts.topology import HEARTBEAT_S, LANE_STREAM, SHARED, WAIT_S, WAIT_STREAM, wait_subject
from warmlane_jobs.routing import may_withdraw

from warmlane_degraded.admission.metrics import WITHDRAWN

log = structlog.get_logger(__name__)

_LOOK_S = 1.0
_FULL_S = 2.0
_SERVED_IN_S = 20.0
"""A job is offered while the shared workers should get through those before it in this time."""
_GUESS_S = 10.0
"""How long a clip takes while no shared worker has said."""


class Withdrawal:
    """Withdraws the jobs of one lane."""

    def __init__(
        self, *, lane: str, bus: Bus, register: StateRegister, leases: Bucket, directory: LaneDirectory
    ) -> None:
        self._lane = lane
        self._bus = bus
        self._register = register
        self._leases = leases
        self._directory = directory
        self._offers: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Withdraw for ever."""
        pull = await self._bus.pull(LANE_STREAM, self._lane)
        while True:
            reason = self._reason()
            if reason is None or len(self._offers) >= self._at_once():
                await asyncio.sleep(_LOOK_S)
                continue
            try:
                await self._next(pull, reason)
            except BusUnavailable as away:
                log.warning("admission.withdrawal_paused", lane=self._lane, reason=str(away))
                await asyncio.sleep(_LOOK_S)

    def _reason(self) -> FallbackReason | None:
        return may_withdraw(self._directory.facts(self._lane))

    def _at_once(self) -> int:
        """Return how many jobs may be on offer at once: as many as should be served in time, one at least."""
        service_s = self._directory.service_s(SHARED) or _GUESS_S
        return max(1, int(self._directory.ready_shared() * _SERVED_IN_S / service_s))

    async def _next(self, pull: Pull, reason: FallbackReason) -> None:
        delivery = await pull.fetch(_LOOK_S)
        if delivery is None:
            return
        offer = asyncio.create_task(self._handle(delivery, reason), name=f"withdraw:{self._lane}")
        self._offers.add(offer)
        offer.add_done_callback(self._ended)

    def _ended(self, offer: "asyncio.Task[None]") -> None:
        self._offers.discard(offer)
        if not offer.cancelled() and (failed := offer.exception()) is not None:
            # The token comes back after its ack wait, to the lane or to a replica.
            log.warning("admission.offer_broke_off", lane=self._lane, reason=repr(failed))

    async def _handle(self, delivery: Delivery, reason: FallbackReason) -> None:
        try:
            envelope = decode(delivery.data)
        except UnknownMessageError:
            envelope = None
        if envelope is None or not isinstance(envelope.data, JobRequested):
            await delivery.term()
            return
        job = envelope.data
        held = await self._register.read(job.lane, job.job_id)
        if held is not None and isinstance(held.record, TERMINAL):
            await delivery.ack()
            return
        if held is not None and await sign_of_life(self._leases, job.lane, job.job_id) is not None:
            await delivery.nak(HEARTBEAT_S)
            return
        end = await self._offer(delivery, envelope, job, reason, held.seq if held else 0)
        WITHDRAWN.labels(self._lane, end).inc()
        log.info("admission.job_withdrawn", task_id=job.task_id, lane=self._lane, reason=reason, end=end)

    async def _offer(
        self,
        delivery: Delivery,
        envelope: Envelope[Message],
        job: JobRequested,
        reason: FallbackReason,
        before: int,
    ) -> str:
        offered = job.model_copy(update={"lane_mode": "degraded_shared", "fallback_reason": reason})
        subject = wait_subject(job.lane, job.job_id)
        outcome = await self._bus.publish(
            subject,
            encode(envelope.model_copy(update={"data": offered})),
            message_id=f"{job.job_id}.{before}",
            within_s=5.0,
        )
        if not isinstance(outcome, Stored):
            await delivery.nak(_FULL_S)
            return "full" if isinstance(outcome, Full) else "unknown"
        return await self._watch(delivery, envelope, job, before)

    async def _watch(self, delivery: Delivery, envelope: Envelope[Message], job: JobRequested, before: int) -> str:
        """Hold the lane's token until the offer has come to its end: claimed, or forgotten by the broker after its time. The
        wall clock has no say in it: it may jump.
        """
        subject, began = wait_subject(job.lane, job.job_id), time.monotonic()
        offered = await self._bus.last(WAIT_STREAM, subject) is not None
        while True:
            forgotten = offered and await self._bus.last(WAIT_STREAM, subject) is None
            held = await self._register.read(job.lane, job.job_id)
            if (held.seq if held else 0) != before:
                # Claimed: what a shared worker holds is watched by the rescue, so the lane's token may go.
                await delivery.ack()
                return "claimed"
            if self._reason() is None:
                await delivery.nak()
                return "lane_back"
            waited_s = max(time.monotonic() - began, WAIT_S if forgotten else 0.0)
            untaken = forgotten or waited_s > WAIT_S
            if untaken and before:
                await delivery.nak(_FULL_S)
                return "untaken"
            if untaken:
                await self._expire(envelope, job, waited_s)
                # Whoever wrote first has decided; the token comes again and is acknowledged by what stands there.
                await delivery.nak()
                return "expired"
            await delivery.in_progress()
            await asyncio.sleep(_LOOK_S)

    async def _expire(self, envelope: Envelope[Message], job: JobRequested, waited_s: float) -> None:
        expired = Expired(
            task_id=job.task_id,
            job_id=job.job_id,
            lane=job.lane,
            record_id=new_ulid(),
            reason=f"No worker took it within {WAIT_S:g} s.",
            waited_s=waited_s,
        )
        await self._register.write(
            expired, after=0, traceparent=envelope.traceparent, correlation_id=envelope.correlation_id
        )
