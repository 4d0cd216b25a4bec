"""The lane directory's record: what one worker of a lane says of itself, renewed while it lives."""

from datetime import datetime
from typing import ClassVar, Literal

from warmlane_contracts.messages.base import Message

Availability = Literal["ready", "cold", "unavailable"]
LaneMode = Literal["dedicated", "degraded_shared"]
FallbackReason = Literal["capacity", "quota", "manual"]


class LaneRecord(Message):
    """One worker of a lane. `service_s` is the mean time of its last clips in seconds, absent before the first."""

    TYPE: ClassVar[str] = "warmlane.v1.lane.record"

    lane_key: str
    worker: str
    model: str
    mode: LaneMode
    warm: bool
    availability: Availability
    fallback_reason: FallbackReason | None = None
    engine: Literal["tiny", "real"]
    current_task: str | None = None
    service_s: float | None = None
    updated_at: datetime
