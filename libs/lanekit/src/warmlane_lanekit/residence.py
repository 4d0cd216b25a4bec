"""What attempts need of a worker's engine, whether it keeps one model for good or changes between several.

`Resident` keeps the one model of a dedicated lane, `SharedResident` one of many at a time.
"""

from collections.abc import Callable
from typing import Protocol

from warmlane_contracts.messages import LaneMode

from warmlane_lanekit.engine import MemoryReading
from warmlane_lanekit.engine_process import EngineProcess
from warmlane_lanekit.residency import Residency


class Residence(Protocol):
    """A worker's engine and what is in it."""

    mode: LaneMode
    residency: Residency
    reading: MemoryReading
    """The last one; it names the device's size where there is a device."""

    @property
    def lane(self) -> str:
        """The key under which the worker stands in the directory."""
        ...

    @property
    def resident_model(self) -> str:
        """The model in the engine's memory, empty while there is none."""
        ...

    @property
    def cold_start_s(self) -> float | None:
        """How long the last load took, None before the first."""
        ...

    @property
    def engine(self) -> EngineProcess:
        """The present engine process; only to be used after `warm`."""
        ...

    async def start_process(self) -> None:
        """Begin the imports of the first engine process."""
        ...

    async def run(self) -> None:
        """Keep an engine process alive for ever."""
        ...

    async def warm(self) -> None:
        """Wait until a job may be taken."""
        ...

    def why_not_warm(self) -> str | None:
        """Say why no job can be taken, None when one can: a readiness check."""
        ...

    async def hold(self, model: str, loading: Callable[[], None]) -> float:
        """Return once the model is resident, with the seconds that took; `loading` is called if it was not.

        Raise `EngineFault` when it cannot be, `EngineDied` when the process ended on the way.
        """
        ...

    async def measure(self) -> MemoryReading:
        """Read the engine's memory; a dead engine holds none."""
        ...

    async def close(self) -> None:
        """End the engine process, then let its weights go."""
        ...
