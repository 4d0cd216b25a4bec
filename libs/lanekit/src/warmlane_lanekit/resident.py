"""The worker's engine, kept warm: start it, load it, notice when it dies, start it again.

`run` goes round for ever:

    start the process ──► load the model ──► warm ──► (wait until it dies) ──► pause ──► again

The first start happens before the broker is connected, because importing the engine's libraries takes seconds.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Literal

import structlog
from warmlane_contracts.catalogue import Model
from warmlane_contracts.messages import MemoryMeasured
from warmlane_modelstore.errors import StoreError

from warmlane_lanekit.engine import EngineFault, MemoryReading
from warmlane_lanekit.engine_process import EngineDied, EngineProcess
from warmlane_lanekit.metrics import COLD_START_SECONDS, COLD_STARTS, DEVICE_BYTES, RSS_BYTES, WARM
from warmlane_lanekit.residency import Residency, Step, move
from warmlane_lanekit.weights import Weights

log = structlog.get_logger(__name__)

_LONGEST_PAUSE_S = 60.0


class Resident:
    """Holds the engine process and its residency. `changed` is called after each change of the residency."""

    def __init__(
        self,
        *,
        model: Model,
        weights: Weights,
        worker: str,
        reload_s: float,
        make_process: Callable[[], EngineProcess],
        changed: Callable[[], None],
    ) -> None:
        self.model = model
        self.residency = Residency()
        self.cold_start_s: float | None = None
        self._weights = weights
        self._worker = worker
        self._reload_s = reload_s
        self._make_process = make_process
        self._changed = changed
        self._process: EngineProcess | None = None
        self._warm = asyncio.Event()

    @property
    def engine(self) -> EngineProcess:
        """The present engine process; only to be used while warm."""
        if self._process is None:
            raise RuntimeError("the engine was never started")
        return self._process

    async def start_process(self) -> None:
        """Begin the imports of the first engine process."""
        if self._process is None:
            self._process = self._make_process()
            await self._process.start()

    async def warm(self) -> None:
        """Wait until a generation can start at once."""
        while True:
            await self._warm.wait()
            if self.engine.alive:
                return
            await asyncio.sleep(0)  # it has just died, and `run` is about to say so

    def why_not_warm(self) -> str | None:
        """Say why no generation can start, None when one can: a readiness check."""
        if self.residency.warm:
            return None
        return f"model {self.model.id} is {self.residency.state}" + (
            f": {self.residency.reason}" if self.residency.reason else ""
        )

    async def run(self) -> None:
        """Keep the engine warm for ever."""
        pause_s = self._reload_s
        while True:
            started = time.monotonic()
            if self._process is None or not self._process.alive:
                self._process = self._make_process()
                await self._process.start()
            if await self._load():
                await self._process.dead()
                self._move(Step.LOSE, "the engine process ended")
            await self._process.kill()
            # An engine that lived for a while gets a quick restart; one that keeps failing waits longer each time.
            lived = time.monotonic() - started > _LONGEST_PAUSE_S
            pause_s = self._reload_s if lived else min(pause_s * 2, _LONGEST_PAUSE_S)
            await asyncio.sleep(pause_s if not lived else self._reload_s)

    async def measure(self) -> MemoryReading:
        """Read the engine's memory; a dead engine holds none."""
        try:
            reading = await self.engine.memory()
        except EngineDied:
            reading = MemoryReading(rss_bytes=0)
        RSS_BYTES.labels(self.model.lane).set(reading.rss_bytes)
        for kind in ("allocated", "reserved", "peak", "free"):
            value = getattr(reading, f"{kind}_bytes")
            if value is not None:
                DEVICE_BYTES.labels(self.model.lane, kind).set(value)
        return reading

    def measured(
        self, reading: MemoryReading, stage: Literal["loaded", "post_generation"], task_id: str | None
    ) -> MemoryMeasured:
        """Return the fact that tells a reading."""
        return MemoryMeasured(
            task_id=task_id,
            lane=self.model.lane,
            worker=self._worker,
            model=self.model.id,
            lane_mode="dedicated",
            stage=stage,
            **reading.model_dump(exclude={"total_bytes"}),
        )

    async def close(self) -> None:
        """End the engine process, then let its weights go."""
        if self._process is not None:
            await self._process.kill()
        await self._weights.close()

    async def _load(self) -> bool:
        self._move(Step.LOAD)
        started = time.monotonic()
        try:
            await self.engine.ready()
            folder = await self._weights.folder()
            report = await self.engine.load(folder, self.model.runtime)
        except (EngineFault, EngineDied, StoreError) as failed:
            log.error(  # noqa: TRY400 - no stack of ours: the engine's own words are the cause
                "lane.load_failed", model=self.model.id, reason=str(failed)
            )
            self._move(Step.LOSE, str(failed)[:300])
            return False
        self.cold_start_s = time.monotonic() - started
        COLD_STARTS.labels(self.model.lane).inc()
        COLD_START_SECONDS.labels(self.model.lane).set(self.cold_start_s)
        log.info(
            "lane.warmed",
            model=self.model.id,
            seconds=round(self.cold_start_s, 2),
            **report.model_dump(exclude={"seconds"}),
        )
        self._move(Step.LOADED)
        return True

    def _move(self, step: Step, reason: str = "") -> None:
        self.residency = move(self.residency, step, reason)
        WARM.labels(self.model.lane).set(self.residency.warm)
        (self._warm.set if self.residency.warm else self._warm.clear)()
        self._changed()
