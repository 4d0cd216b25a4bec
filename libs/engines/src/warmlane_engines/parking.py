"""Weights that wait in host memory: a swap then costs one copy over the bus and not a load from disk.

    first parking ─► copy every weight to the host, page-locked in its exact size ─► the device's tensors are let go
    unparking     ─► copy to the device, the host's copy stays
    parking again ─► weights do not change, so nothing is copied: the device's tensors are let go

torch's own pinned allocator rounds every block up to a power of two (2.25 GiB would take 4), so ordinary memory is taken
and registered with the driver instead.
"""

from collections.abc import Iterator

import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline

from warmlane_engines.loading import modules


class ParkedWeights:
    """The host's copy of a pipeline's weights."""

    def __init__(self, pipeline: DiffusionPipeline) -> None:
        """Copy what is on the device to the host."""
        self._pairs = [(tensor, tensor.data.to("cpu", copy=True)) for tensor in _tensors(pipeline)]
        self._locked = [host for _, host in self._pairs if _lock(host)]

    @property
    def nbytes(self) -> int:
        """What the copy takes of the host's memory."""
        return sum(host.nbytes for _, host in self._pairs)

    def park(self) -> None:
        """Let the device's tensors go."""
        for tensor, host in self._pairs:
            tensor.data = host

    def unpark(self, device: torch.device) -> None:
        """Bring the weights to the device; returns when they are there."""
        for tensor, host in self._pairs:
            tensor.data = host.to(device, non_blocking=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    def close(self) -> None:
        """Give the page locks back. The copy itself goes with this object."""
        for host in self._locked:
            torch.cuda.cudart().cudaHostUnregister(host.data_ptr())
        self._locked = []


def _tensors(pipeline: DiffusionPipeline) -> Iterator[torch.Tensor]:
    for module in modules(pipeline).values():
        yield from module.parameters()
        yield from module.buffers()


def _lock(host: torch.Tensor) -> bool:
    """Page-lock a tensor where there is a driver; without the lock the copy is only slower."""
    if not torch.cuda.is_available() or host.nbytes == 0:
        return False
    return int(torch.cuda.cudart().cudaHostRegister(host.data_ptr(), host.nbytes, 0)) == 0
