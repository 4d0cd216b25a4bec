"""An engine that is any one of several, never two: what a shared worker's engine process holds.

    load(A) ─► A ── evict ─► nothing ── load(B) ─► B        load(B) over A is refused: one heavy model at a time

The classes' code is imported at the start, so that a switch costs the weights and not the libraries.
"""

import gc
from collections.abc import Callable, Mapping
from pathlib import Path

from warmlane_contracts.catalogue import ModelRuntime
from warmlane_contracts.errors import ErrorCode

from warmlane_lanekit.engine import (
    Engine,
    EngineFault,
    GenerateReport,
    GenerateSpec,
    LoadReport,
    MemoryReading,
    StepProgress,
)


class ManyEngines:
    """See the module. `makers` names each engine as a model's runtime does."""

    def __init__(self, makers: Mapping[str, Callable[[], Engine]]) -> None:
        self._makers = makers
        # Reads the memory while nothing is loaded; it holds no weights.
        self._idle = next(iter(makers.values()))()
        self._engine: Engine | None = None

    def load(self, model_dir: Path, runtime: ModelRuntime) -> LoadReport:
        """Load a model with its own engine. A load that fails leaves nothing loaded."""
        if self._engine is not None:
            raise EngineFault(ErrorCode.ENGINE_FAILED, "another model is loaded; evict it first")
        make = self._makers.get(runtime.engine)
        if make is None:
            raise EngineFault(ErrorCode.MODEL_UNAVAILABLE, f"this process has no engine {runtime.engine}")
        engine = make()
        report = engine.load(model_dir, runtime)
        self._engine = engine
        return report

    def generate(
        self, spec: GenerateSpec, *, progress: Callable[[StepProgress], None], cancelled: Callable[[], bool]
    ) -> GenerateReport:
        """Make the clip with the loaded model."""
        if self._engine is None:
            raise EngineFault(ErrorCode.MODEL_UNAVAILABLE, "no model is loaded")
        return self._engine.generate(spec, progress=progress, cancelled=cancelled)

    def evict(self) -> None:
        """Release the loaded model, if any, and its engine with it."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.evict()
        del engine
        gc.collect()

    def memory(self) -> MemoryReading:
        """Return the memory in use right now."""
        return (self._engine or self._idle).memory()
