"""Measuring an engine's memory: three meters with one face.

| meter | reads | refuses |
|---|---|---|
| `RssMeter` | the process's resident memory | nothing |
| `SimulatedMeter` | what the engine says it takes, against a budget | what does not fit: `OutOfMemory` |
| `CudaMeter` (warmlane_engines) | the device's allocator | the device itself does |

An engine tells a meter what it is about to take (`take`) and gives it back (`give`). Only the simulated one listens: with
it a CPU can run out of "device" memory at any stage, so that the discipline can be tested where there is no GPU.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Protocol

import psutil

from warmlane_lanekit.engine import MemoryReading

BUDGET = "WARMLANE_SIMULATED_VRAM_BYTES"
"""Environment variable: the simulated device's size in bytes."""
REFUSE = "WARMLANE_SIMULATED_VRAM_REFUSE"
"""Environment variable for tests: what the simulated device refuses once whatever its size, for example `decode`."""


class OutOfMemory(MemoryError):
    """The simulated device is full. The engine's host turns it into `gpu_out_of_memory`, like the real thing."""


class Meter(Protocol):
    """Reads the memory of this process's engine."""

    def read(self) -> MemoryReading:
        """Return the memory in use now, and its peak since the last `reset_peak`."""
        ...

    def reset_peak(self) -> None:
        """Start measuring the peak anew."""
        ...

    def take(self, what: str, size: int) -> None:
        """Say that `size` bytes are about to be taken for `what`. Raise `OutOfMemory` when there is no room."""
        ...

    def give(self, what: str) -> None:
        """Say that what was taken for `what` is free again."""
        ...


class RssMeter:
    """Reads the process's resident memory, where there is no device."""

    def read(self) -> MemoryReading:
        return MemoryReading(rss_bytes=resident_bytes())

    def reset_peak(self) -> None:
        """Have no peak to reset."""

    def take(self, what: str, size: int) -> None:
        """Let the system decide."""

    def give(self, what: str) -> None:
        """Let the system decide."""


class SimulatedMeter:
    """A device of `budget` bytes that exists in the engine's words only."""

    def __init__(self, budget: int, refuse: str = "") -> None:
        """Make a device of `budget` bytes; the first taking for `refuse` fails."""
        self._budget = budget
        self._refuse = refuse
        self._taken: dict[str, int] = {}
        self._peak = 0

    def read(self) -> MemoryReading:
        used = self._used
        return MemoryReading(
            rss_bytes=resident_bytes(),
            allocated_bytes=used,
            reserved_bytes=used,
            peak_bytes=self._peak,
            free_bytes=self._budget - used,
            total_bytes=self._budget,
        )

    def reset_peak(self) -> None:
        self._peak = self._used

    def take(self, what: str, size: int) -> None:
        free = self._budget - self._used
        if size > free or what == self._refuse:
            self._refuse = ""
            raise OutOfMemory(f"tried to allocate {size} bytes for {what}; {free} of {self._budget} are free")
        self._taken[what] = self._taken.get(what, 0) + size
        self._peak = max(self._peak, self._used)

    def give(self, what: str) -> None:
        self._taken.pop(what, None)

    @property
    def _used(self) -> int:
        return sum(self._taken.values())


def simulated_meter() -> SimulatedMeter | None:
    """Return the simulated device that the environment asks for, None when it asks for none.

    The process has one device: engines that come and go in it share what is left.
    """
    budget = os.environ.get(BUDGET)
    return _device(int(budget), os.environ.get(REFUSE, "")) if budget else None


@cache
def _device(budget: int, refuse: str) -> SimulatedMeter:
    return SimulatedMeter(budget, refuse)


@contextmanager
def taken(meter: Meter, what: str, size: int) -> Iterator[None]:
    """Take memory for the block."""
    meter.take(what, size)
    try:
        yield
    finally:
        meter.give(what)


def resident_bytes() -> int:
    """Return this process's resident memory."""
    return int(psutil.Process().memory_info().rss)
