"""Hands out again what a shared worker took and fell silent on.

    record ──► ended ─────────────────────► in 15 s forget it, and its lease
           ──► a dedicated lane's claim ──► forget it: the lane's own token comes back by itself
           ──► a shared worker's claim ───► keep it and look again every 15 s, until the job has gone on
                                              └─ no sign of life ──► a new token, to the lane if it is ready, else to
                                                                     the shared workers

The broker keeps the watch: a record that is not acknowledged comes again, to whichever replica lives. Handing out twice
does no harm, because a claim is conditioned on the record before it.
"""

import asyncio
from datetime import UTC, datetime

import structlog
from warmlane_bus.lane_directory import LaneDirectory
from warmlane_bus.lease import sign_of_life
from warmlane_bus.ports import Bucket, Bus, BusUnavailable, Delivery, Stored
from warmlane_bus.register import Held, StateRegister
from warmlane_contracts.envelope import Envelope, UnknownMessageError, decode, encode, seal
from warmlane_contracts.messages import TERMINAL, Claimed, JobRequested, Message, Released, StateRecord
from warmlane_contracts.topology import RESCUE, SHARED, STATE_STREAM, lane_subject, lease_key
from warmlane_jobs.rescue import STALE_S, KeepWatch, Reissue, judge_silence

from warmlane_degraded.admission.metrics import RESCUED

log = structlog.get_logger(__name__)

_BATCH = 200
_FETCH_S = 5.0
_PAUSE_S = 0.5


class Rescue:
    """Watches the records of all jobs."""

    def __init__(self, *, bus: Bus, register: StateRegister, leases: Bucket, directory: LaneDirectory) -> None:
        self._bus = bus
        self._register = register
        self._leases = leases
        self._directory = directory

    async def run(self) -> None:
        """Watch for ever."""
        pull = await self._bus.pull(STATE_STREAM, RESCUE)
        while True:
            try:
                batch = await pull.fetch_many(_BATCH, _FETCH_S)
                await asyncio.gather(*(self._look_at(delivery) for delivery in batch))
            except BusUnavailable as away:
                log.warning("admission.rescue_paused", reason=str(away))
                await asyncio.sleep(_PAUSE_S)

    async def _look_at(self, delivery: Delivery) -> None:
        try:
            envelope = decode(delivery.data)
        except UnknownMessageError as unknown:
            log.warning("admission.record_not_understood", subject=delivery.subject, reason=str(unknown)[:200])
            await delivery.ack_soon()
            return
        record = envelope.data
        if isinstance(record, TERMINAL) and delivery.deliveries == 1:
            await delivery.nak(STALE_S)  # the holder's last heartbeat may still be on its way, and bring the lease back
        elif isinstance(record, TERMINAL):
            await self._leases.delete(lease_key(record.lane, record.job_id))
            await delivery.ack_soon()
        elif not isinstance(record, Claimed | Released) or record.job is None:
            await delivery.ack_soon()
        elif delivery.deliveries == 1:
            await delivery.nak(STALE_S)  # just written; nobody can have fallen silent yet
        else:
            await self._judge(delivery, envelope, record, record.job)

    async def _judge(
        self, delivery: Delivery, envelope: Envelope[Message], record: StateRecord, job: JobRequested
    ) -> None:
        held = await self._register.read(record.lane, record.job_id)
        if held is None or held.seq != delivery.seq:
            await delivery.ack_soon()  # the job has gone on; the later record is watched itself
            return
        match judge_silence(held.record, quiet_s=await self._quiet_s(held)):
            case KeepWatch(after_s):
                await delivery.nak(after_s)
            case Reissue():
                await self._hand_out(envelope, job, held)
                await delivery.nak(STALE_S)
            case _:
                await delivery.ack_soon()

    async def _quiet_s(self, held: Held) -> float:
        sign = await sign_of_life(self._leases, held.record.lane, held.record.job_id)
        spoke = held.time
        if sign is not None and sign.claim_seq == held.seq:
            spoke = max(spoke, sign.renewed_at)
        # Our clock only decides when to look again; a job handed out too early is left alone by whoever sees its holder.
        return (datetime.now(UTC) - spoke).total_seconds()

    async def _hand_out(self, envelope: Envelope[Message], job: JobRequested, held: Held) -> None:
        ready = self._directory.facts(job.lane).ready_workers
        target = job.lane if ready else SHARED
        token = seal(
            job,
            source="warmlane/degraded-admission",
            subject=job.job_id,
            traceparent=envelope.traceparent,
            correlation_id=envelope.correlation_id,
            causation_id=envelope.id,
        )
        outcome = await self._bus.publish(
            lane_subject(target, job.job_id),
            encode(token),
            message_id=f"{job.job_id}.{held.seq}.{target}",
            within_s=5.0,
        )
        if isinstance(outcome, Stored) and not outcome.duplicate:
            RESCUED.inc()
            log.warning("admission.job_rescued", task_id=job.task_id, job_id=job.job_id, term=held.seq, to=target)
