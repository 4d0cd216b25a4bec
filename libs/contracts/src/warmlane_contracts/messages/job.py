"""The command that carries a task to a lane. Small: images travel as object references, never as bytes."""

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import Field

from warmlane_contracts.messages.base import Message, Part
from warmlane_contracts.messages.lane import FallbackReason, LaneMode

InputRole = Literal["reference", "first_frame", "last_frame", "keyframe"]
OutputFormat = Literal["mp4", "webm", "gif"]


class InputRef(Part):
    """An image the engine needs. `position` places a keyframe in the clip: 0 is the first frame, 1 the last."""

    role: InputRole
    key: str
    sha256: str
    content_type: str
    position: float | None = Field(default=None, ge=0, le=1)


class ClipParams(Part):
    """What to generate, fully resolved: no default is left to fill in and every lock is applied.

    Sizes in pixels, `fps` in frames per second, `seed` the one used (never -1).
    """

    prompt: str
    negative_prompt: str = ""
    width: int
    height: int
    num_frames: int
    fps: int
    steps: int
    cfg: float
    seed: int
    motion_score: float | None = None
    lighting_variant: str | None = None
    reference_strength: float | None = None
    denoising_strength: float | None = None


class JobRequested(Message):
    """Run this job. `lane` names its model's lane and its register, whoever runs it; `lane_mode` says where it was sent,
    and `fallback_reason` why it was not sent to its own lane. All tries are counted by the register.
    """

    TYPE: ClassVar[str] = "warmlane.v1.job.requested"

    task_id: str
    job_id: str
    lane: str
    model: str
    mode: str
    params: ClipParams
    inputs: tuple[InputRef, ...] = ()
    output_format: OutputFormat = "mp4"
    lane_mode: LaneMode = "dedicated"
    fallback_reason: FallbackReason | None = None
    max_attempts: int = Field(default=3, ge=1)
    accepted_at: datetime
