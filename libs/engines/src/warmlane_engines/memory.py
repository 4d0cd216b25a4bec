"""Reading memory, and giving it back.

Three things keep a released pipeline alive: reference cycles inside it (`gc.collect` breaks them), an exception whose
traceback holds its frames, and hooks. And three keep its memory from the system: the allocator's cache, the VAE's
feature cache, and the C library's arenas. `release` goes through them in order, and proves its work with weak
references.
"""

import ctypes
import gc
import sys
import weakref

import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from warmlane_contracts.errors import ErrorCode
from warmlane_lanekit.engine import EngineFault, MemoryReading
from warmlane_lanekit.meter import Meter, RssMeter, resident_bytes, simulated_meter

from warmlane_engines.loading import modules


class CudaMeter:
    """Reads the device's allocator; see `warmlane_lanekit.meter.Meter`. The device refuses by itself."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def read(self) -> MemoryReading:
        free, total = torch.cuda.mem_get_info(self._device)
        return MemoryReading(
            rss_bytes=resident_bytes(),
            allocated_bytes=torch.cuda.memory_allocated(self._device),
            reserved_bytes=torch.cuda.memory_reserved(self._device),
            peak_bytes=torch.cuda.max_memory_allocated(self._device),
            free_bytes=free,
            total_bytes=total,
        )

    def reset_peak(self) -> None:
        torch.cuda.reset_peak_memory_stats(self._device)

    def take(self, what: str, size: int) -> None:
        """Let the device decide."""

    def give(self, what: str) -> None:
        """Let the device decide."""


def open_meter(device: torch.device) -> Meter:
    """Return the meter of a device: the real one, else the simulated one if there is one, else the process's memory."""
    if device.type == "cuda":
        return CudaMeter(device)
    return simulated_meter() or RssMeter()


def clean_up(pipeline: DiffusionPipeline) -> None:
    """Drop what a generation left behind, so that the pipeline is as it was after loading."""
    pipeline.maybe_free_model_hooks()
    pipeline.vae.clear_cache()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def release(pipeline: DiffusionPipeline) -> list["weakref.ref[torch.nn.Module]"]:
    """Undo hooks and caches, and return weak references to the weights, for `prove_released` once all else let go."""
    clean_up(pipeline)
    pipeline.remove_all_hooks()
    return [weakref.ref(module) for module in modules(pipeline).values()]


def prove_released(weights: list["weakref.ref[torch.nn.Module]"]) -> None:
    """Collect and give memory back to the system; raise `EngineFault` when a module is still alive."""
    gc.unfreeze()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    alive = sum(reference() is not None for reference in weights)
    if alive:
        raise EngineFault(ErrorCode.ENGINE_FAILED, f"{alive} of {len(weights)} modules were not released")
