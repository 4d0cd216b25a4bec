"""The worker's engine, kept warm: start it, load it, notice when it dies, start it again.

`run` goes round for ever:

    start the process ──► load the model ──► warm ──► (wait until it dies) ──► pause ──► again

The first start happens before the broker is connected, because importing the engine's libraries takes seconds.
"""

import asyncio
import time
from collections.abc import Callable

import structlog
from warmlane_contracts.catalogue import Model
from warmlane_contracts.errors import ErrorCode
from warmlane_contracts.messages import LaneMode
from warmlane_modelstore.errors import StoreError

from warmlane_lanekit.engine import EngineFault, MemoryReading
from warmlane_lanekit.engine_process import EngineDied, EngineProcess
from warmlane_lanekit.metrics import COLD_START_SECONDS, COLD_STARTS, WARM
from warmlane_lanekit.readings import read_memory
from warmlane_lanekit.residency import Residency, Step, move
from warmlane_lanekit.restarts import Restarts
from warmlane_lanekit.weights import Weights

log = structlog.get_logger(__name__)


class Resident:
    """Holds the engine process and its residency. `changed` is called after each change of the residency."""

    mode: LaneMode = "dedicated"

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
        self.reading = MemoryReading(rss_bytes=0)
        self._weights = weights
        self._worker = worker
        self._restarts = Restarts(reload_s)
        self._make_process = make_process
        self._changed = changed
        self._process: EngineProcess | None = None
        self._warm = asyncio.Event()

    @property
    def lane(self) -> str:
        """The key under which the worker stands in the directory."""
        return self.model.lane

    @property
    def resident_model(self) -> str:
        """The model in the engine's memory: the lane's own, warm or about to be."""
        return self.model.id

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
        while True:
            self._restarts.started()
            if self._process is None or not self._process.alive:
                self._process = self._make_process()
                await self._process.start()
            if await self._load():
                await self._process.dead()
                self._move(Step.LOSE, "the engine process ended")
            await self._process.kill()
            await asyncio.sleep(self._restarts.pause_s())

    async def hold(self, model: str, loading: Callable[[], None]) -> float:  # noqa: ARG002 - this engine is warm already
        """Return at once: the model is resident. Raise `EngineFault` for any other model."""
        if model != self.model.id:
            raise EngineFault(ErrorCode.MODEL_UNAVAILABLE, f"this lane keeps {self.model.id}, not {model}")
        return 0.0

    async def measure(self) -> MemoryReading:
        """Read the engine's memory; a dead engine holds none."""
        self.reading = await read_memory(self.engine, self.lane)
        return self.reading

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
        await self.measure()
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
