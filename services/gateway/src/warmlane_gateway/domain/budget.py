"""Whether a clip fits the device memory of those who would make it."""

from collections.abc import Sequence
from dataclasses import dataclass

from warmlane_contracts.catalogue import ResolvedRequest
from warmlane_contracts.errors import ErrorCode, FieldError, WarmlaneError
from warmlane_contracts.memory_model import Calibration
from warmlane_contracts.messages import LaneRecord

_STEP = 16
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Budget:
    """What a worker has and how much its clips take."""

    bytes: int
    calibration: Calibration


def budgets(workers: Sequence[LaneRecord], model: str) -> list[Budget]:
    """Return what is known of the workers that may run a model."""
    return [
        Budget(worker.budget_bytes, calibration)
        for worker in workers
        if worker.budget_bytes is not None
        for calibration in worker.calibrations
        if calibration.model == model
    ]


def check_fits(request: ResolvedRequest, workers: Sequence[LaneRecord]) -> None:
    """Raise `exceeds_memory_budget`, naming the largest size that fits, when no worker that was measured could hold it.

    Where nothing was measured nothing is refused: the worker checks again.
    """
    known, asked = budgets(workers, request.model), request.params
    size = {"width": asked.width, "height": asked.height, "frames": asked.num_frames}
    peaks = [(one.calibration.peak_bytes(**size), one) for one in known]
    if not peaks or any(peak <= one.bytes for peak, one in peaks):
        return
    peak, roomiest = max(peaks, key=lambda pair: pair[1].bytes - pair[0])
    fits = roomiest.calibration.largest_fit(roomiest.bytes, **size, step=_STEP)
    action = f"Ask for {fits[0]}×{fits[1]} or smaller, or for fewer frames." if fits else "Ask for fewer frames."
    raise WarmlaneError(
        ErrorCode.EXCEEDS_MEMORY_BUDGET,
        f"{asked.width}×{asked.height} with {asked.num_frames} frames would take {peak / _GIB:.1f} GiB of device memory;"
        f" {roomiest.bytes / _GIB:.1f} GiB are there.",
        action,
        (FieldError("width", "is too large", fits[0]), FieldError("height", "is too large", fits[1])) if fits else (),
    )
