"""Reading an engine's memory, and telling it: as metrics and as facts."""

from typing import Literal

from warmlane_contracts.messages import LaneMode, MemoryMeasured

from warmlane_lanekit.engine import MemoryReading
from warmlane_lanekit.engine_process import EngineDied, EngineProcess
from warmlane_lanekit.metrics import DEVICE_BYTES, RSS_BYTES

_KINDS = ("allocated", "reserved", "peak", "free")


async def read_memory(engine: EngineProcess, lane: str) -> MemoryReading:
    """Return the engine's memory and show it in the metrics; a dead engine holds none."""
    try:
        reading = await engine.memory()
    except EngineDied:
        reading = MemoryReading(rss_bytes=0)
    RSS_BYTES.labels(lane).set(reading.rss_bytes)
    for kind in _KINDS:
        value = getattr(reading, f"{kind}_bytes")
        if value is not None:
            DEVICE_BYTES.labels(lane, kind).set(value)
    return reading


def memory_measured(
    reading: MemoryReading,
    stage: Literal["loaded", "post_generation", "evicted"],
    *,
    lane: str,
    worker: str,
    model: str,
    lane_mode: LaneMode,
    task_id: str | None,
) -> MemoryMeasured:
    """Return the fact that tells a reading."""
    return MemoryMeasured(
        task_id=task_id,
        lane=lane,
        worker=worker,
        model=model,
        lane_mode=lane_mode,
        stage=stage,
        **reading.model_dump(exclude={"total_bytes"}),
    )
