"""One attempt at a job, from the claim to the record that ends it.

    inputs ──► generate ──► upload ──► Done      while a heartbeat keeps the claim and watches for its end
        └─────────┴───────────┴──► Failed | Released (another attempt may follow) | nothing (cancelled, or not ours)

Whatever the end: memory is measured and reported, the scratch folder is gone, and what this claim stored but nobody may
use is swept.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, TypeVar

import structlog
from warmlane_bus.lease import Lease
from warmlane_bus.ports import Bucket, Delivery
from warmlane_bus.register import Lost, StateRegister, Undecided, Written
from warmlane_contracts.errors import ErrorCode
from warmlane_contracts.messages import (
    TERMINAL,
    Done,
    Failed,
    JobRequested,
    MemoryCleaned,
    Released,
    ResultRef,
    Stage,
    StateRecord,
    Timings,
)
from warmlane_runtime.faults import fault_point
from warmlane_storage.objects import ObjectStore, StoreUnavailable

from warmlane_lanekit.claim import Claim
from warmlane_lanekit.engine import EngineFault, GenerateSpec, GenerationCancelled, StepProgress
from warmlane_lanekit.engine_process import EngineDied
from warmlane_lanekit.facts import Facts
from warmlane_lanekit.heartbeat import Ending, Heartbeat
from warmlane_lanekit.inputs import fetch_inputs
from warmlane_lanekit.metrics import HUNG, STAGE_SECONDS
from warmlane_lanekit.readings import memory_measured
from warmlane_lanekit.residence import Residence
from warmlane_lanekit.results import store_results, sweep
from warmlane_lanekit.service_time import ServiceTimes
from warmlane_lanekit.watchdog import Watchdog

log = structlog.get_logger(__name__)

T = TypeVar("T")

_AGAIN = frozenset({ErrorCode.ENGINE_CRASHED, ErrorCode.ENGINE_HUNG, ErrorCode.RESULT_NOT_STORED})
"""Failures that another attempt may not meet again."""
_STORE_PAUSE_S = 0.5
_OUT_OF_MEMORY_AGAIN = 1
"""How often a job that ran out of memory gets a clean engine: once shows whether the engine or the job was the cause."""


class Outcome(StrEnum):
    """How an attempt ended, and with it what becomes of the message."""

    DONE = "done"
    FAILED = "failed"
    RELEASED = "released"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"

    @property
    def settled(self) -> bool:
        """True when the job has its outcome, so that the message may go."""
        return self in (Outcome.DONE, Outcome.FAILED, Outcome.CANCELLED)


_CLEANED: dict[Outcome, Literal["done", "failed", "cancelled"]] = {
    Outcome.DONE: "done",
    Outcome.FAILED: "failed",
    Outcome.CANCELLED: "cancelled",
}


class Attempts:
    """Runs attempts, one at a time."""

    def __init__(
        self,
        *,
        resident: Residence,
        register: StateRegister,
        leases: Bucket,
        objects: ObjectStore,
        facts: Facts,
        times: ServiceTimes,
        scratch: Path,
        heartbeat_s: float,
        cancel_grace_s: float,
        commit_s: float,
        watchdog: Watchdog,
        check_fits: Callable[[JobRequested], None],
    ) -> None:
        self._resident = resident
        self._register = register
        self._leases = leases
        self._objects = objects
        self._facts = facts
        self._times = times
        self._scratch = scratch
        self._heartbeat_s = heartbeat_s
        self._cancel_grace_s = cancel_grace_s
        self._commit_s = commit_s
        self._watchdog = watchdog
        self._check_fits = check_fits
        self._heartbeat: Heartbeat | None = None
        self._claim: Claim | None = None

    def hint(self, job_id: str) -> None:
        """Somebody says that this job was cancelled: look, if it is the one in hand."""
        if self._heartbeat is not None and self._claim is not None and self._claim.job.job_id == job_id:
            self._heartbeat.look_now()

    async def run(self, claim: Claim, delivery: Delivery) -> Outcome:
        """Run the attempt to its end. Cancelling this coroutine (a hard stop) releases the job for another worker."""
        scratch = Path(tempfile.mkdtemp(prefix=f"{claim.job.job_id}-", dir=self._scratch))
        outcome = Outcome.ABANDONED
        try:
            outcome = await self._run(claim, delivery, scratch)
        except asyncio.CancelledError:
            await self._resident.engine.kill()
            outcome = await self._release(claim, "soft_stop")
            raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            await self._report_memory(claim, outcome)
        return outcome

    async def _run(self, claim: Claim, delivery: Delivery, scratch: Path) -> Outcome:
        job = claim.job
        lease = Lease(self._leases, lane=job.lane, job_id=job.job_id, claim_seq=claim.seq, worker=claim.worker)
        self._claim = claim
        self._heartbeat = Heartbeat(
            claim, lease=lease, register=self._register, delivery=delivery, interval_s=self._heartbeat_s
        )
        try:
            async with self._heartbeat.beating() as ended:
                self._watchdog.begin(job.params.width * job.params.height * job.params.num_frames)
                work = asyncio.create_task(self._work(claim, scratch), name=f"attempt:{job.job_id}")
                hung = asyncio.create_task(self._watchdog.hung(), name=f"watchdog:{job.job_id}")
                try:
                    first: set[asyncio.Future[Any]] = {work, ended, hung}
                    await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
                    if ended.done() and not work.done():
                        return await self._stop_work(claim, work, ended.result())
                    if hung.done() and not work.done():
                        return await self._end_hung(claim, work, hung.result())
                    return await self._finish(claim, work)
                finally:
                    hung.cancel()
                    work.cancel()
                    await asyncio.gather(work, hung, return_exceptions=True)
        finally:
            self._heartbeat = self._claim = None

    async def _work(self, claim: Claim, scratch: Path) -> tuple[ResultRef, Timings]:
        job, began = claim.job, time.monotonic()
        self._check_fits(job)
        images = await self._patiently(lambda: fetch_inputs(self._objects, job.inputs, scratch))
        spec = GenerateSpec(
            model=job.model,
            mode=job.mode,
            params=job.params,
            images=images,
            output_format=job.output_format,
            scratch=scratch,
        )
        input_s = time.monotonic() - began
        load_s = await self._resident.hold(
            job.model, lambda: self._facts.progressed(claim, StepProgress(stage=Stage.LOADING))
        )
        report = await self._resident.engine.generate(spec, self._on_progress(claim))
        self._watchdog.rest()
        self._facts.progressed(claim, StepProgress(stage=Stage.UPLOADING))
        uploading = time.monotonic()
        result = await self._patiently(lambda: store_results(self._objects, claim, report))
        fault_point("lane.uploaded")
        timings = Timings(
            queue_s=max(0.0, (claim.claimed_at - job.accepted_at).total_seconds()),
            input_s=input_s,
            load_s=load_s,
            denoise_s=report.prompt_s + report.denoise_s,
            decode_s=report.decode_s,
            encode_s=report.encode_s,
            upload_s=time.monotonic() - uploading,
            total_s=time.monotonic() - began,
        )
        _observe(job.lane, timings)
        return result, timings

    async def _patiently(self, act: Callable[[], Awaitable[T]]) -> T:
        """Do something with the object store, for as long as a store that is away may need to come back."""
        deadline = time.monotonic() + self._commit_s
        while True:
            try:
                return await act()
            except StoreUnavailable as away:
                if time.monotonic() >= deadline:
                    raise
                log.warning("lane.store_waited_for", reason=repr(away)[:300])
                await asyncio.sleep(_STORE_PAUSE_S)

    def _on_progress(self, claim: Claim) -> Callable[[StepProgress], None]:
        def on_progress(at: StepProgress) -> None:
            self._watchdog.progressed()
            if at.stage is Stage.DENOISING:
                fault_point("lane.generating")
            self._facts.progressed(claim, at)

        return on_progress

    async def _stop_work(
        self, claim: Claim, work: "asyncio.Task[tuple[ResultRef, Timings]]", ending: Ending
    ) -> Outcome:
        await self._resident.engine.cancel(grace_s=self._cancel_grace_s)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await sweep(self._objects, claim)
        return Outcome.CANCELLED if ending is Ending.CANCELLED else Outcome.ABANDONED

    async def _end_hung(
        self, claim: Claim, work: "asyncio.Task[tuple[ResultRef, Timings]]", silent_s: float
    ) -> Outcome:
        await self._resident.engine.kill()
        await asyncio.gather(work, return_exceptions=True)
        HUNG.labels(claim.job.lane).inc()
        detail = f"The engine showed no progress for {silent_s:.0f} s and was ended. Submit the task again."
        return await self._fail(claim, ErrorCode.ENGINE_HUNG, detail)

    async def _finish(self, claim: Claim, work: "asyncio.Task[tuple[ResultRef, Timings]]") -> Outcome:
        try:
            result, timings = work.result()
        except EngineFault as fault:
            return await self._fail(claim, fault.code, fault.detail)
        except EngineDied as died:
            return await self._fail(claim, ErrorCode.ENGINE_CRASHED, f"{died.detail}. Submit the task again.")
        except GenerationCancelled:
            return Outcome.ABANDONED
        except Exception as error:
            log.exception("lane.result_not_stored", task_id=claim.job.task_id)
            return await self._fail(claim, ErrorCode.RESULT_NOT_STORED, f"{type(error).__name__}. Submit it again.")
        done = Done(
            **claim.record(),
            claim_seq=claim.seq,
            worker=claim.worker,
            attempt=claim.attempt,
            result=result,
            timings=timings,
        )
        self._times.add(timings.total_s)
        outcome = await self._commit(claim, done, Outcome.DONE)
        fault_point("lane.committed")
        await sweep(self._objects, claim, keep=result if outcome is Outcome.DONE else None)
        return outcome

    async def _fail(self, claim: Claim, code: ErrorCode, detail: str) -> Outcome:
        log.warning("lane.attempt_failed", task_id=claim.job.task_id, attempt=claim.attempt, code=code, detail=detail)
        await sweep(self._objects, claim)
        again = code in _AGAIN and claim.attempt < claim.job.max_attempts
        if code is ErrorCode.GPU_OUT_OF_MEMORY:
            # Nobody can say what a failed allocation left behind; the next task gets a new process.
            await self._resident.engine.kill()
            again = claim.attempt <= _OUT_OF_MEMORY_AGAIN
        if again:
            return await self._release(claim, code)
        failed = Failed(**claim.record(), claim_seq=claim.seq, code=code, message=detail, attempt=claim.attempt)
        return await self._commit(claim, failed, Outcome.FAILED)

    async def _release(self, claim: Claim, reason: str) -> Outcome:
        job = claim.job if self._resident.mode == "degraded_shared" else None
        released = Released(**claim.record(), claim_seq=claim.seq, attempt=claim.attempt, reason=reason, job=job)
        return await self._commit(claim, released, Outcome.RELEASED, within_s=min(self._commit_s, 4.0))

    async def _commit(
        self, claim: Claim, record: StateRecord, meant: Outcome, *, within_s: float | None = None
    ) -> Outcome:
        """Write the record on top of our claim, for as long as the broker needs to come back."""
        deadline = time.monotonic() + (self._commit_s if within_s is None else within_s)
        while True:
            outcome = await self._register.write(
                record,
                after=claim.seq,
                traceparent=claim.traceparent,
                correlation_id=claim.correlation_id,
                causation_id=claim.causation_id,
                within_s=min(15.0, max(0.5, deadline - time.monotonic())),
            )
            match outcome:
                case Written():
                    return meant
                case Lost(held):
                    log.info("lane.outcome_fenced", task_id=claim.job.task_id, claim_seq=claim.seq, meant=meant)
                    ended = held is not None and isinstance(held.record, TERMINAL)
                    return Outcome.CANCELLED if ended else Outcome.ABANDONED
                case Undecided(reason):
                    if time.monotonic() >= deadline:
                        log.error("lane.outcome_undecided", task_id=claim.job.task_id, reason=reason)
                        return Outcome.ABANDONED

    async def _report_memory(self, claim: Claim, outcome: Outcome) -> None:
        began = time.monotonic()
        reading = await self._resident.measure()
        freed = max(0, (reading.peak_bytes or 0) - (reading.allocated_bytes or 0))
        kind: Literal["done", "failed", "cancelled", "abandoned"] = _CLEANED.get(outcome, "abandoned")
        cleaned = MemoryCleaned(
            task_id=claim.job.task_id,
            lane=claim.job.lane,
            worker=claim.worker,
            model=claim.job.model,
            lane_mode=self._resident.mode,
            outcome=kind,
            freed_bytes=freed,
            seconds=time.monotonic() - began,
        )
        log.info(
            "lane.memory_cleaned", task_id=claim.job.task_id, outcome=kind, **reading.model_dump(exclude_none=True)
        )
        self._facts.tell("memory", cleaned, claim)
        job = claim.job
        measured = memory_measured(
            reading,
            "post_generation",
            lane=job.lane,
            worker=claim.worker,
            model=job.model,
            lane_mode=self._resident.mode,
            task_id=job.task_id,
        )
        self._facts.tell("memory", measured, claim)


def _observe(lane: str, timings: Timings) -> None:
    for name, seconds in timings.model_dump().items():
        STAGE_SECONDS.labels(lane, name.removesuffix("_s")).observe(seconds)
