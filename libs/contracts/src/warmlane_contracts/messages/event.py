"""Facts that lanes report as they work. Told in the past tense, never asked for, safe to miss: truth is the register."""

from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import Field

from warmlane_contracts.messages.base import Message
from warmlane_contracts.messages.lane import Availability, FallbackReason, LaneMode


class Stage(StrEnum):
    """Where a task is, in the order a clip passes through. `denoising` is the one that counts steps."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    LOADING = "loading"
    ENCODING_PROMPT = "encoding_prompt"
    DENOISING = "denoising"
    DECODING = "decoding"
    ENCODING = "encoding"
    UPLOADING = "uploading"
    DONE = "done"


class TaskProgressed(Message):
    """The attempt that holds `claim_seq` advanced. `progress` counts the whole task, 0 to 100."""

    TYPE: ClassVar[str] = "warmlane.v1.task.progressed"

    task_id: str
    job_id: str
    lane: str
    claim_seq: int
    attempt: int
    stage: Stage
    step: int = 0
    steps: int = 0
    progress: int = Field(ge=0, le=100)
    live_preview_key: str | None = None


class LaneChanged(Message):
    """A worker of a lane became ready, cold or unavailable. Degraded mode always names its reason."""

    TYPE: ClassVar[str] = "warmlane.v1.lane.changed"

    lane: str
    worker: str
    availability: Availability
    warm: bool
    mode: LaneMode = "dedicated"
    reason: FallbackReason | None = None
    detail: str = ""


class ColdStarted(Message):
    """A worker loaded its model; `seconds` from the start of the load to warm."""

    TYPE: ClassVar[str] = "warmlane.v1.lane.cold_started"

    lane: str
    worker: str
    model: str
    seconds: float


class MemoryCleaned(Message):
    """The cleanup after a generation ran, whatever the generation's end was."""

    TYPE: ClassVar[str] = "warmlane.v1.memory.cleaned"

    task_id: str | None = None
    lane: str
    worker: str
    model: str
    lane_mode: LaneMode
    outcome: Literal["done", "failed", "cancelled", "evicted", "abandoned"]
    freed_bytes: int
    seconds: float


class MemoryMeasured(Message):
    """Memory of a worker's engine, in bytes; the device's figures are absent where there is no device."""

    TYPE: ClassVar[str] = "warmlane.v1.memory.measured"

    task_id: str | None = None
    lane: str
    worker: str
    model: str
    lane_mode: LaneMode
    stage: Literal["loaded", "post_generation", "evicted"]
    rss_bytes: int
    allocated_bytes: int | None = None
    reserved_bytes: int | None = None
    peak_bytes: int | None = None
    free_bytes: int | None = None


class FallbackActivated(Message):
    """Requests for a lane go to the shared worker from now on. `worker` is the admission replica that tells it."""

    TYPE: ClassVar[str] = "warmlane.v1.fallback.activated"

    lane: str
    worker: str
    reason: FallbackReason


class FallbackEnded(Message):
    """Requests for a lane go to the lane again; `seconds` is how long they did not."""

    TYPE: ClassVar[str] = "warmlane.v1.fallback.ended"

    lane: str
    worker: str
    reason: FallbackReason
    seconds: float
