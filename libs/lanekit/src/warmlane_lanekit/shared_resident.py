"""The engine of a shared worker: any heavy model, one at a time.

    hold(A) ─► load A ─► A resident ─┬─ hold(A) ─► at once
                                     └─ hold(B) ─► evict A, prove that its memory came back ─► load B
                                                        └─ not proven, or the load failed ─► a new process

Ending the process always frees everything, so that is what happens whenever memory is in doubt. `run` starts it anew.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

import structlog
from warmlane_contracts.catalogue import Model
from warmlane_contracts.errors import ErrorCode
from warmlane_contracts.messages import ColdStarted, LaneMode, MemoryCleaned, Message
from warmlane_contracts.topology import SHARED, EventKind
from warmlane_modelstore.errors import StoreError

from warmlane_lanekit.engine import EngineFault, MemoryReading
from warmlane_lanekit.engine_process import EngineDied, EngineProcess
from warmlane_lanekit.metrics import COLD_START_SECONDS, COLD_STARTS, RECYCLES, WARM
from warmlane_lanekit.readings import memory_measured, read_memory
from warmlane_lanekit.residency import Residency, State, Step, move
from warmlane_lanekit.restarts import Restarts
from warmlane_lanekit.weights import Weights

log = structlog.get_logger(__name__)

_TOLERANCE_BYTES = 64 * 1024 * 1024
"""What an evicted model may leave allocated: library workspaces that the next model uses again."""


class SharedResident:
    """Holds the engine process and at most one model in it. `changed` is called after each change of the residency."""

    mode: LaneMode = "degraded_shared"

    def __init__(
        self,
        *,
        models: Mapping[str, Model],
        weights: Mapping[str, Weights],
        worker: str,
        reload_s: float,
        make_process: Callable[[], EngineProcess],
        changed: Callable[[], None],
        tell: Callable[[EventKind, Message], None],
    ) -> None:
        self.residency = Residency()
        self.cold_start_s: float | None = None
        self.reading = MemoryReading(rss_bytes=0)
        self._models = models
        self._weights = weights
        self._worker = worker
        self._restarts = Restarts(reload_s)
        self._make_process = make_process
        self._changed = changed
        self._tell = tell
        self._process: EngineProcess | None = None
        self._model: Model | None = None
        self._idle = MemoryReading(rss_bytes=0)
        self._ready = asyncio.Event()
        self._switching: asyncio.Task[None] | None = None

    @property
    def lane(self) -> str:
        """The key under which the worker stands in the directory."""
        return SHARED

    @property
    def resident_model(self) -> str:
        """The model in the engine's memory, empty while there is none."""
        return self._model.id if self._model is not None and self.residency.warm else ""

    @property
    def resident_lane(self) -> str | None:
        """The lane whose jobs can start at once, None while there is none."""
        return self._model.lane if self._model is not None and self.residency.warm else None

    @property
    def engine(self) -> EngineProcess:
        """The present engine process; only to be used after `warm`."""
        if self._process is None:
            raise RuntimeError("the engine was never started")
        return self._process

    async def start_process(self) -> None:
        """Begin the imports of the first engine process."""
        if self._process is None:
            self._process = self._make_process()
            await self._process.start()

    async def warm(self) -> None:
        """Wait until a job may be taken: the process has imported its engines. Models come when they are asked for."""
        while True:
            await self._ready.wait()
            if self.engine.alive:
                return
            await asyncio.sleep(0)  # it has just died, and `run` is about to say so

    def why_not_warm(self) -> str | None:
        """Say why no job can be taken, None when one can: a readiness check."""
        if self._ready.is_set():
            return None
        return "the engine process is starting" + (f": {self.residency.reason}" if self.residency.reason else "")

    async def run(self) -> None:
        """Keep an engine process alive for ever."""
        while True:
            self._restarts.started()
            if self._process is None or not self._process.alive:
                self._process = self._make_process()
                await self._process.start()
            try:
                await self._process.ready()
                self._idle = self.reading = await self._process.memory()
            except (EngineDied, EngineFault) as failed:
                log.error("lane.engine_not_started", reason=str(failed))  # noqa: TRY400 - the engine's own words are the cause
            else:
                self._ready.set()
                self._changed()
                await self._process.dead()
            self._ready.clear()
            self._lose("the engine process ended")
            await self._process.kill()
            await asyncio.sleep(self._restarts.pause_s())

    async def hold(self, model: str, loading: Callable[[], None]) -> float:
        """Return once the model is resident, with the seconds that took; `loading` is called if it was not.

        A caller that is cancelled leaves the switch running; the next one waits for its end.
        """
        if self._switching is not None and not self._switching.done():
            await asyncio.wait({self._switching})
        if self.resident_model == model and self.engine.alive:
            return 0.0
        wanted = self._models.get(model)
        if wanted is None:
            raise EngineFault(ErrorCode.MODEL_UNAVAILABLE, f"this worker has no model {model}")
        loading()
        began = time.monotonic()
        self._switching = asyncio.create_task(self._switch_to(wanted), name=f"switch:{model}")
        self._switching.add_done_callback(_retrieved)
        await asyncio.shield(self._switching)
        return time.monotonic() - began

    async def measure(self) -> MemoryReading:
        """Read the engine's memory; a dead engine holds none."""
        self.reading = await read_memory(self.engine, self.lane)
        return self.reading

    async def close(self) -> None:
        """End the engine process, then let its weights go."""
        if self._process is not None:
            await self._process.kill()
        if self._switching is not None:
            await asyncio.gather(self._switching, return_exceptions=True)
        for weights in self._weights.values():
            await weights.close()

    async def _switch_to(self, model: Model) -> None:
        if self.residency.warm:
            await self._evict()
        await self.warm()
        await self._load(model)

    async def _evict(self) -> None:
        evicted = self._model
        assert evicted is not None, "what is warm has a model"  # noqa: S101 - a misuse, not a state
        began, before = time.monotonic(), await self.measure()
        self._move(Step.EVICT)
        kept = await self._release()
        after = await self.measure()
        log.info("lane.model_evicted", model=evicted.id, proven=not kept, kept=kept, rss_bytes=after.rss_bytes)
        self._model = None
        if kept:
            await self._recycle(kept)
            after = MemoryReading(rss_bytes=0)
        else:
            self._move(Step.EVICTED)
        measured = memory_measured(
            after,
            "evicted",
            lane=evicted.lane,
            worker=self._worker,
            model=evicted.id,
            lane_mode=self.mode,
            task_id=None,
        )
        self._tell("memory", measured)
        self._tell(
            "memory",
            MemoryCleaned(
                task_id=None,
                lane=evicted.lane,
                worker=self._worker,
                model=evicted.id,
                lane_mode=self.mode,
                outcome="evicted",
                freed_bytes=_freed(before, after),
                seconds=time.monotonic() - began,
            ),
        )

    async def _release(self) -> str:
        """Ask the engine to let go; return why that is not proven, empty when it is."""
        try:
            await self.engine.evict()
        except (EngineFault, EngineDied) as failed:
            return str(failed)
        left = (await self.measure()).allocated_bytes
        if left is not None and left - (self._idle.allocated_bytes or 0) > _TOLERANCE_BYTES:
            return f"{left} bytes are still allocated"
        return ""

    async def _load(self, model: Model) -> None:
        self._model = model
        self._move(Step.LOAD)
        started = time.monotonic()
        try:
            folder = await self._weights[model.id].folder()
            report = await self.engine.load(folder, model.runtime)
        except StoreError as missing:
            await self._recycle(str(missing))
            raise EngineFault(ErrorCode.MODEL_UNAVAILABLE, str(missing)) from missing
        except (EngineFault, EngineDied) as failed:
            # Whatever half a load left behind goes with its process.
            await self._recycle(str(failed))
            raise
        self.cold_start_s = seconds = time.monotonic() - started
        await self.measure()
        COLD_STARTS.labels(model.lane).inc()
        COLD_START_SECONDS.labels(model.lane).set(seconds)
        log.info("lane.warmed", model=model.id, seconds=round(seconds, 2), **report.model_dump(exclude={"seconds"}))
        self._move(Step.LOADED)
        self._tell("cold_start", ColdStarted(lane=model.lane, worker=self._worker, model=model.id, seconds=seconds))

    async def _recycle(self, reason: str) -> None:
        log.warning("lane.engine_recycled", reason=reason)
        RECYCLES.labels(self.lane).inc()
        self._lose(reason)
        self._ready.clear()
        await self.engine.kill()

    def _lose(self, reason: str) -> None:
        self._model = None
        if self.residency.state not in {State.LOST, State.ABSENT}:
            self._move(Step.LOSE, reason)
        self._changed()

    def _move(self, step: Step, reason: str = "") -> None:
        self.residency = move(self.residency, step, reason)
        WARM.labels(self.lane).set(self.residency.warm)
        self._changed()


def _freed(before: MemoryReading, after: MemoryReading) -> int:
    if before.allocated_bytes is not None:
        return max(0, before.allocated_bytes - (after.allocated_bytes or 0))
    return max(0, before.rss_bytes - after.rss_bytes)


def _retrieved(switch: "asyncio.Task[None]") -> None:
    """Look at a switch's exception, so that asyncio does not warn when its caller was cancelled."""
    if not switch.cancelled():
        switch.exception()
