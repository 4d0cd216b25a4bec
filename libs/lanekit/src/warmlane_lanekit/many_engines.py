"""An engine that is any one of several, never two: what a shared worker's engine process holds.

    load(A) ─► A ── evict ─► nothing on the device ── load(B) ─► B       load(B) over A is refused: one heavy model at a time
                      └─► A parked in host memory, where there is room ── load(A) ─► one copy and not a load from disk

The classes' code is imported at the start, so that a switch costs the weights and not the libraries.
"""

import gc
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
from warmlane_contracts.catalogue import ModelRuntime
from warmlane_contracts.errors import ErrorCode

from warmlane_lanekit.engine import (
    Engine,
    EngineFault,
    GenerateReport,
    GenerateSpec,
    LoadReport,
    MemoryReading,
    Parkable,
    StepProgress,
)

SWAP = "WARMLANE_SWAP_RAM_BYTES"
"""Environment variable: how much host memory parked models may take together; 0 parks none."""
_SHARE_OF_FREE = 0.6

Key = tuple[Path, str]


class ManyEngines:
    """See the module. `makers` names each engine as a model's runtime does."""

    def __init__(self, makers: Mapping[str, Callable[[], Engine]]) -> None:
        self._makers = makers
        # Reads the memory while nothing is loaded; it holds no weights.
        self._idle = next(iter(makers.values()))()
        self._engine: Engine | None = None
        self._key: Key | None = None
        self._parked: OrderedDict[Key, tuple[Parkable, int]] = OrderedDict()
        self._swap_bytes = swap_bytes()

    def load(self, model_dir: Path, runtime: ModelRuntime) -> LoadReport:
        """Load a model with its own engine, from host memory if it is parked. A load that fails leaves nothing loaded."""
        if self._engine is not None:
            raise EngineFault(ErrorCode.ENGINE_FAILED, "another model is loaded; evict it first")
        make = self._makers.get(runtime.engine)
        if make is None:
            raise EngineFault(ErrorCode.MODEL_UNAVAILABLE, f"this process has no engine {runtime.engine}")
        key = (model_dir, runtime.engine)
        parked = self._parked.pop(key, None)
        if parked is not None:
            engine: Engine = parked[0]
            report = parked[0].unpark()
        else:
            engine = make()
            report = engine.load(model_dir, runtime)
        self._engine, self._key = engine, key
        return report

    def generate(
        self, spec: GenerateSpec, *, progress: Callable[[StepProgress], None], cancelled: Callable[[], bool]
    ) -> GenerateReport:
        """Make the clip with the loaded model."""
        if self._engine is None:
            raise EngineFault(ErrorCode.MODEL_UNAVAILABLE, "no model is loaded")
        return self._engine.generate(spec, progress=progress, cancelled=cancelled)

    def evict(self) -> None:
        """Take the loaded model, if any, off the device: parked where the host has room, else released."""
        engine, key = self._engine, self._key
        self._engine = self._key = None
        if engine is None or key is None:
            return
        size = engine.parkable_bytes if isinstance(engine, Parkable) else 0
        if isinstance(engine, Parkable) and 0 < size <= self._swap_bytes:
            self._make_room(size)
            engine.park()
            self._parked[key] = (engine, size)
        else:
            engine.evict()
        del engine
        gc.collect()

    def memory(self) -> MemoryReading:
        """Return the memory in use right now."""
        return (self._engine or self._idle).memory()

    def _make_room(self, size: int) -> None:
        """Release the models that were parked first, until another of this size fits."""
        while self._parked and sum(parked for _, parked in self._parked.values()) + size > self._swap_bytes:
            _, (forgotten, _) = self._parked.popitem(last=False)
            forgotten.evict()


def swap_bytes() -> int:
    """Return how much host memory parked models may take: what the environment says, else a share of what is free."""
    chosen = os.environ.get(SWAP)
    return int(chosen) if chosen is not None else int(psutil.virtual_memory().available * _SHARE_OF_FREE)
