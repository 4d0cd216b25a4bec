"""From the lane's queue to attempts: fetch one message, decide by the register, claim, run, settle.

fetch ──► not a job of these lanes ──► term
      ──► register: ended ──► ack     attempts used up ──► Failed ──► ack
      ──► claim won ──► it waited too long ──► Expired ──► ack
      ──► claim won ──► attempt ──► outcome stored ──► ack
      │                        └──► released ──► nak (the next worker takes it at once)
      │                        └──► not ours any more, or unknown ──► nothing: it comes again by itself
      └─► claim lost to somebody who works on it ──► nak for an ack wait

The register alone knows how many attempts there were and who holds the job; clocks only decide who waits a little.
"""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime
from typing import cast

import structlog
from warmlane_bus.lease import sign_of_life
from warmlane_bus.ports import Bucket, Bus, BusUnavailable, Delivery
from warmlane_bus.register import Held, Lost, StateRegister, Written
from warmlane_contracts.envelope import Envelope, UnknownMessageError, decode
from warmlane_contracts.errors import ErrorCode
from warmlane_contracts.ids import new_ulid
from warmlane_contracts.messages import TERMINAL, Claimed, Expired, Failed, JobRequested, Message
from warmlane_contracts.topology import ACK_WAIT_S, HEARTBEAT_S, SHARED, WAIT_S, is_waiting, lane_subject
from warmlane_jobs.attempt import AlreadyEnded, GiveUp, TakeAttempt, decide_attempt
from warmlane_runtime.faults import fault_point
from warmlane_runtime.logging import bound
from warmlane_runtime.tracecontext import continue_trace

from warmlane_lanekit.attempt import Attempts, Outcome
from warmlane_lanekit.claim import Claim, now
from warmlane_lanekit.metrics import JOBS
from warmlane_lanekit.offered import OfferedDelivery
from warmlane_lanekit.residence import Residence
from warmlane_lanekit.scratch import Scratch
from warmlane_lanekit.shared_queue import JobQueue

log = structlog.get_logger(__name__)


class ClaimLoop:
    """Takes the jobs of some lanes, one at a time. `changed` is called when a job was taken or left."""

    def __init__(
        self,
        *,
        lanes: frozenset[str],
        worker: str,
        bus: Bus,
        queue: JobQueue,
        register: StateRegister,
        leases: Bucket,
        resident: Residence,
        attempts: Attempts,
        scratch: Scratch,
        fetch_s: float,
        changed: Callable[[], None],
    ) -> None:
        self._lanes = lanes
        self._worker = worker
        self._bus = bus
        self._queue = queue
        self._register = register
        self._leases = leases
        self._resident = resident
        self._attempts = attempts
        self._scratch = scratch
        self._fetch_s = fetch_s
        self._changed = changed
        self._draining = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.current_task: str | None = None

    async def run(self) -> None:
        """Work for ever, or until drained."""
        while not self._draining.is_set():
            await self._resident.warm()
            await self._scratch.room(self._changed)
            delivery = await self._fetch()
            if delivery is not None:
                await self._take(delivery)
        await asyncio.Event().wait()

    async def drain(self) -> None:
        """Take nothing new; return when the attempt in hand has ended."""
        self._draining.set()
        await self._idle.wait()

    async def _fetch(self) -> Delivery | None:
        fetching = asyncio.create_task(self._queue.fetch(self._fetch_s), name="lane:fetch")
        draining = asyncio.create_task(self._draining.wait(), name="lane:draining")
        try:
            await asyncio.wait({fetching, draining}, return_when=asyncio.FIRST_COMPLETED)
            return await fetching if fetching.done() else None
        except BusUnavailable as away:
            log.warning("lane.fetch_failed", reason=str(away))
            await asyncio.sleep(0.5)
            return None
        finally:
            fetching.cancel()
            draining.cancel()
            await asyncio.gather(fetching, draining, return_exceptions=True)

    async def _take(self, delivery: Delivery) -> None:
        envelope = self._read(delivery)
        if envelope is None:
            await delivery.term()
            return
        job = cast("JobRequested", envelope.data)
        self._idle.clear()
        self.current_task = job.task_id
        self._changed()
        try:
            with bound(task_id=job.task_id, lane=job.lane):
                await self._handle(envelope, job, delivery)
        except BusUnavailable as away:
            # Unsettled: the message comes again after its ack wait, to us or to another.
            log.warning("lane.job_put_off", task_id=job.task_id, reason=str(away))
        finally:
            self.current_task = None
            self._idle.set()
            self._changed()

    def _read(self, delivery: Delivery) -> Envelope[Message] | None:
        try:
            envelope = decode(delivery.data)
        except UnknownMessageError as bad:
            log.error("lane.message_refused", subject=delivery.subject, reason=str(bad)[:300])  # noqa: TRY400 - no stack: the bytes are the cause
            return None
        if not isinstance(envelope.data, JobRequested) or envelope.data.lane not in self._lanes:
            log.error("lane.message_refused", subject=delivery.subject, reason="not a job of these lanes")
            return None
        return envelope

    async def _handle(self, envelope: Envelope[Message], job: JobRequested, delivery: Delivery) -> None:
        held = await self._register.read(job.lane, job.job_id)
        decision = decide_attempt(held.record if held else None, held.seq if held else 0, job.max_attempts)
        match decision:
            case AlreadyEnded():
                await delivery.ack()
            case GiveUp(attempts, after):
                await self._give_up(envelope, job, delivery, attempts=attempts, after=after)
            case TakeAttempt() if await self._somebody_works_on(job, held):
                # Another token of this job (rescued, withdrawn, or the broker had forgotten its message id) must not take
                # it from a holder that lives.
                await delivery.nak(HEARTBEAT_S)
            case TakeAttempt(number, after):
                claim = await self._claim(envelope, job, delivery, number=number, after=after)
                if claim is not None:
                    await self._take_over(claim, delivery)

    async def _somebody_works_on(self, job: JobRequested, held: Held | None) -> bool:
        if held is None or not isinstance(held.record, Claimed):
            return False
        sign = await sign_of_life(self._leases, job.lane, job.job_id)
        if sign is None or sign.claim_seq != held.seq:
            return False
        # Our clock only makes us wait: a wrong one costs seconds, and taking over too early is fenced.
        return 0 <= (now() - sign.renewed_at).total_seconds() < 2 * HEARTBEAT_S

    async def _claim(
        self, envelope: Envelope[Message], job: JobRequested, delivery: Delivery, *, number: int, after: int
    ) -> Claim | None:
        at: datetime = now()
        trace = continue_trace(envelope.traceparent).traceparent
        shared = self._resident.mode == "degraded_shared"
        claimed = Claimed(
            task_id=job.task_id,
            job_id=job.job_id,
            lane=job.lane,
            record_id=new_ulid(),
            worker=self._worker,
            attempt=number,
            lane_mode=self._resident.mode,
            fallback_reason=(job.fallback_reason or "capacity") if shared else None,
            job=job if shared else None,
        )
        outcome = await self._register.write(
            claimed,
            after=after,
            traceparent=trace,
            correlation_id=envelope.correlation_id,
            causation_id=envelope.id,
        )
        match outcome:
            case Written(seq):
                fault_point("lane.claimed")
                log.info("lane.job_claimed", job_id=job.job_id, attempt=number, claim_seq=seq)
                return Claim(job, seq, number, self._worker, at, trace, envelope.correlation_id, claimed.record_id)
            case Lost(held) if held is not None and isinstance(held.record, TERMINAL):
                await delivery.ack()
            case Lost():
                await delivery.nak(ACK_WAIT_S)
            case _:
                # Our claim may yet arrive. The redelivery will find it and count it as an attempt.
                log.warning("lane.claim_undecided", job_id=job.job_id)
        return None

    async def _take_over(self, claim: Claim, delivery: Delivery) -> None:
        """Free the place of a job that waited, unless it waited too long; then run the attempt."""
        if is_waiting(delivery.subject):
            if await self._too_late(claim, delivery):
                return
            await delivery.ack()
            fault_point("lane.place_freed")
            delivery = OfferedDelivery(delivery, hand_out=lambda: self._hand_out(claim, delivery.data))
        await self._run(claim, delivery)

    async def _too_late(self, claim: Claim, delivery: Delivery) -> bool:
        """Compare the broker's own stamps: during an outage no limit of its own keeps a late claim out."""
        job = claim.job
        held = await self._register.read(job.lane, job.job_id)
        if held is None or held.seq != claim.seq:
            return True
        waited_s = (held.time - delivery.time).total_seconds()
        if waited_s <= WAIT_S:
            return False
        expired = Expired(**claim.record(), reason=f"No worker took it within {WAIT_S:g} s.", waited_s=waited_s)
        await self._register.write(
            expired, after=claim.seq, traceparent=claim.traceparent, correlation_id=claim.correlation_id
        )
        log.warning("lane.claimed_too_late", job_id=job.job_id, waited_s=waited_s)
        await delivery.ack()
        return True

    async def _hand_out(self, claim: Claim, token: bytes) -> None:
        subject = lane_subject(SHARED, claim.job.job_id)
        await self._bus.publish(subject, token, message_id=f"{claim.job.job_id}.{claim.seq}.released", within_s=2.0)

    async def _run(self, claim: Claim, delivery: Delivery) -> None:
        try:
            outcome = await self._attempts.run(claim, delivery)
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):  # stopping; without the nak it comes after the ack wait
                await delivery.nak()
            raise
        JOBS.labels(self._resident.lane, outcome.value).inc()
        log.info("lane.attempt_ended", job_id=claim.job.job_id, attempt=claim.attempt, outcome=outcome.value)
        if outcome.settled:
            await delivery.ack()
        elif outcome is Outcome.RELEASED:
            await delivery.nak()

    async def _give_up(
        self, envelope: Envelope[Message], job: JobRequested, delivery: Delivery, *, attempts: int, after: int
    ) -> None:
        failed = Failed(
            task_id=job.task_id,
            job_id=job.job_id,
            lane=job.lane,
            record_id=new_ulid(),
            code=ErrorCode.ATTEMPTS_EXHAUSTED,
            message=f"All {attempts} attempts ended without a result. See the lane's log, then submit the task again.",
            attempt=attempts,
        )
        outcome = await self._register.write(
            failed, after=after, traceparent=envelope.traceparent, correlation_id=envelope.correlation_id
        )
        if isinstance(outcome, Written):
            log.error("lane.job_given_up", job_id=job.job_id, attempts=attempts)
            JOBS.labels(self._resident.lane, "given_up").inc()
            await delivery.ack()
