"""What a worker tells the world as it works: events, in order, without ever making the work wait.

Facts go into a queue and one task publishes them. Progress is special: only the newest matters, so a slow broker or a
slow object store makes progress coarser, never older. A live preview is stored before the fact that names it.
"""

import asyncio
import contextlib
from pathlib import Path

import structlog
from warmlane_bus.ports import Bus, BusMisconfigured, Stored
from warmlane_contracts.envelope import encode, seal
from warmlane_contracts.messages import Message, TaskProgressed
from warmlane_contracts.topology import NO_JOB, EventKind, event_subject
from warmlane_storage.objects import ObjectStore

from warmlane_lanekit.claim import Claim
from warmlane_lanekit.engine import StepProgress
from warmlane_lanekit.progress import percent

log = structlog.get_logger(__name__)

_WITHIN_S = 60.0
"""How long a fact waits for a broker that is away."""
_PROGRESS_WITHIN_S = 5.0
"""The same for progress, which is old by then."""
_KEPT = 1000


class Facts:
    """Publishes the facts of one worker: those of a claim under the job's lane. `run` must be running."""

    def __init__(self, *, bus: Bus, objects: ObjectStore, lane: str, source: str) -> None:
        self._bus = bus
        self._objects = objects
        self._lane = lane
        self._source = source
        self._queue: asyncio.Queue[tuple[EventKind, str, Message, Claim | None]] = asyncio.Queue(_KEPT)
        self._progress: tuple[Claim, StepProgress] | None = None
        self._wake = asyncio.Event()

    def tell(self, kind: EventKind, message: Message, claim: Claim | None = None) -> None:
        """Queue a fact. When a thousand wait already the broker has been away for long, and the new one is dropped."""
        try:
            self._queue.put_nowait((kind, claim.job.job_id if claim else NO_JOB, message, claim))
        except asyncio.QueueFull:
            log.warning("lane.fact_dropped", type=message.TYPE)
        self._wake.set()

    def progressed(self, claim: Claim, at: StepProgress) -> None:
        """Tell where a claim's generation is. An earlier one that was not sent yet is forgotten, its picture kept."""
        before = self._progress
        if at.live_preview is None and before and before[0] is claim and before[1].live_preview:
            at = at.model_copy(update={"live_preview": before[1].live_preview})
        self._progress = (claim, at)
        self._wake.set()

    async def run(self) -> None:
        """Publish for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._progress is not None:
                (claim, at), self._progress = self._progress, None
                await self._publish("progress", claim.job.job_id, await self._as_event(claim, at), claim)
            while not self._queue.empty():
                await self._publish(*self._queue.get_nowait())

    async def _as_event(self, claim: Claim, at: StepProgress) -> TaskProgressed:
        return TaskProgressed(
            task_id=claim.job.task_id,
            job_id=claim.job.job_id,
            lane=claim.job.lane,
            claim_seq=claim.seq,
            attempt=claim.attempt,
            stage=at.stage,
            step=at.step,
            steps=at.steps,
            progress=percent(at),
            live_preview_key=await self._store_preview(claim, at.live_preview),
        )

    async def _store_preview(self, claim: Claim, picture: Path | None) -> str | None:
        if picture is None:
            return None
        key = f"{claim.folder}live.webp"
        try:
            await self._objects.put(key, await asyncio.to_thread(picture.read_bytes), content_type="image/webp")
        except Exception:
            log.info("lane.preview_not_stored", task_id=claim.job.task_id, exc_info=True)
            return None
        return key

    async def _publish(self, kind: EventKind, job_id: str, message: Message, claim: Claim | None) -> None:
        envelope = seal(
            message,
            source=self._source,
            subject=job_id,
            traceparent=claim.traceparent if claim else "",
            correlation_id=claim.correlation_id if claim else "",
            causation_id=claim.causation_id if claim else None,
        )
        with contextlib.suppress(BusMisconfigured):
            subject = event_subject(claim.job.lane if claim else self._lane, kind, job_id)
            within_s = _PROGRESS_WITHIN_S if kind == "progress" else _WITHIN_S
            outcome = await self._bus.publish(subject, encode(envelope), message_id=envelope.id, within_s=within_s)
            if not isinstance(outcome, Stored):
                log.info("lane.fact_not_stored", type=message.TYPE, outcome=type(outcome).__name__)
